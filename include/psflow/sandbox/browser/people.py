"""What people may and do: nobody, a viewer, the PMO, an engineer inside Airflow, and who approves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from psflow.sandbox import meridian
from psflow.sandbox.browser.window import TRACED, Visit, blocking_exception, must, rows

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Locator, Page

_HOSTILE = "</td><script>window.taken = 1</script><img src=x onerror='window.taken = 1'>{{ 7*7 }}"
_ROUTES = (
    "/", "/engagements", "/exceptions", "/exceptions/1", "/gates", "/gates/1", "/systems", "/deadletters",
    "/plan", "/unbilled", "/close", "/explain",
    f"/trace?id={TRACED}",
    "/dag/activation", f"/run/activation/{TRACED}.1", "/static/psflow.css",
)  # fmt: skip


def nobody(seen: Visit) -> str:
    """Who is not signed in sees a login and nothing else."""
    with seen.window() as window:
        page = window.page
        for route in _ROUTES:
            page.goto(f"/psflow{route}")
            must("/auth/login" in page.url and page.locator("input[name=password]").is_visible(), f"{route} opens")
            shown = page.content()
            must(TRACED not in shown and "exception" not in shown.lower(), f"{route} shows data before the login")
        bare = {page.request.get(f"/psflow{route}", max_redirects=0).status for route in _ROUTES}
        bare.add(page.request.post("/psflow/exceptions/1/comment", data={"comment": "I was here"}).status)
        must(bare == {401}, f"a script that is not signed in is answered {sorted(bare)}, not 401")
        seen.shoot(page, "sign-in")
    return f"{len(_ROUTES)} addresses; a script is answered 401"


def viewer(seen: Visit) -> str:
    """Paula may look and not change."""
    with seen.window("paula") as window:
        page = window.page
        address = blocking_exception(page)
        forms = page.locator("main form").count()
        must(forms == 0, f"{address} offers paula {forms} forms")
        note = page.locator(".note").inner_text()
        must("look and not change" in note, f"{address} does not say why she cannot: {note!r}")
        status, said = page.evaluate(_SEND, f"{address}/comment")
        must(status == 403 and "look and not change" in said, f"what she sends anyway is answered {status} {said}")
        seen.shoot(page, "exception-viewer")
    return f"no button; sent anyway, it is answered 403: “{said}”"


_SEND = """async (address) => {
    const answer = await fetch(address, {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"});
    return [answer.status, (await answer.json()).detail];
}"""


def petra_works(seen: Visit) -> str:
    """Petra assigns an exception and comments on it."""
    with seen.window("petra") as window:
        page = window.page
        page.goto("/psflow/exceptions?team=pmo&assignee=nobody")
        rows(page, "Exceptions").first.locator("th a").click()
        _send(page, "Assign", lambda form: form.locator("select").select_option(label="petra (P-202, pmo)"))
        _send(page, "Comment", lambda form: form.locator("textarea").fill("The consultant corrects it today."))
        newest = rows(page, "History").last.inner_text()
        must("The consultant corrects it today." in newest, f"{page.url} does not show the comment: {newest}")
        seen.shoot(page, "exception-assigned")
        number = page.url.rpartition("/")[2]
        page.goto("/psflow/exceptions?assignee=P-202")
        must(rows(page, "Exceptions").filter(has_text=f"#{number}").count() == 1, f"#{number} is not in her list")
    return f"#{number} of pmo: it is in her list"


def _send(page: Page, what: str, fill: Callable[[Locator], object]) -> None:
    """Fill a form of an exception, send it, and wait for the page that says it is done."""
    form = page.locator("form.act").filter(has=page.get_by_role("button", name=what, exact=True))
    fill(form)
    with page.expect_navigation():
        form.get_by_role("button", name=what, exact=True).click()
    page.locator(".note", has_text="Done").wait_for()


def hostile(seen: Visit) -> str:
    """Markup that somebody types stays text."""
    with seen.window("petra") as window:
        page = window.page
        address = blocking_exception(page)
        _send(page, "Comment", lambda form: form.locator("textarea").fill(_HOSTILE))
        _is_text(page, rows(page, "History").last.inner_text())
        page.goto("/psflow/trace")
        page.get_by_role("searchbox", name="Find any id").fill(_HOSTILE)
        page.get_by_role("button", name="Trace").click()
        page.get_by_text("Nothing here is called").wait_for()
        _is_text(page, page.locator("main").inner_text())
    return f"in a comment of {address} and in an address"


def _is_text(page: Page, shown: str) -> None:
    must(_HOSTILE in shown, f"{page.url} changes what was typed: {shown[:300]}")
    must(page.locator("main img, main script").count() == 0, f"{page.url} took text for markup")
    must(page.evaluate("window.taken") is None, f"{page.url} ran what was typed")


def inside(seen: Visit) -> str:
    """Airflow shows the pages inside, and they lead out of its frame to a run."""
    with seen.window("engineer") as window:
        page = window.page
        page.goto("/dags")
        page.get_by_role("link", name="psflow").first.click()
        _frame_shows(page, "Engagements")
        seen.shoot(page, "airflow-engagements")
        page.goto("/dags/billing")
        page.locator("a[title=psflow]").click()
        _frame_shows(page, "Gates")
        seen.shoot(page, "airflow-billing")
        page.goto("/plugin/psflow")
        _frame_shows(page, "Engagements").locator("a[data-airflow]", has_text="run").first.click()
        page.wait_for_url("**/dags/activation/runs/**")
        run = page.url.rpartition("/")[2]
    return f"from its navigation, from a DAG's tab, and on to run {run}"


def _frame_shows(page: Page, heading: str) -> FrameLocator:
    frame = page.frame_locator("iframe")
    frame.get_by_role("heading", name=heading, level=1, exact=True).wait_for()
    return frame


def finance(seen: Visit) -> str:
    """Who approves finds the waiting batch among Required Actions."""
    with seen.window("frank") as window:
        page = window.page
        page.goto("/required_actions?response_received=false")
        entity = meridian.WAITING.legal_entity_id
        action = page.get_by_role("link", name=f"Approve billing batch {entity}")
        action.first.wait_for()
        asked = action.first.inner_text()
        must(action.count() == 1, f"{action.count()} batches of {entity} wait, not 1")
        seen.shoot(page, "required-actions")
        action.click()
        page.get_by_role("button", name="Approve").wait_for()
        must(seen.waiting in page.url.replace("%3A", ":").replace("%2B", "+"), f"it belongs to {page.url}")
        seen.shoot(page, "approval")
    return f"“{asked}”"


def no_outside_host(seen: Visit) -> str:
    """No page asked another host."""
    must(seen.hosts == {"127.0.0.1"}, f"asked {', '.join(sorted(seen.hosts - {'127.0.0.1'}))}")
    return "all of the above asked 127.0.0.1 only"
