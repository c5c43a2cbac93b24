"""What the pages show: cleanly, to the keyboard and in a narrow window, and each number equal to its rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from psflow.sandbox import meridian
from psflow.sandbox.browser.window import NARROW, SCHEMES, TRACED, Visit, blocking_exception, must, rows

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

_PAGES = ("engagements", "exceptions", "gates", "systems", "plan", "unbilled", "explain", "close")
_MONEY = re.compile(r"[\d,]+\.\d\d [A-Z]{3}")


def clean(seen: Visit) -> str:
    """Every page renders, light and dark, and the console has nothing to say."""
    papers, shown = set[str](), 0
    for scheme in SCHEMES:
        with seen.window("petra", scheme) as window:
            page = window.page
            for name, address in _screens(page).items():
                page.goto(address)
                page.get_by_role("heading", level=1).wait_for()
                if scheme == "light" or name == "engagements":  # one picture in the dark is enough
                    seen.shoot(page, name if scheme == "light" else f"{name}-dark")
                shown += 1
            papers.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            must(not window.wrong, f"{scheme}: {'; '.join(dict.fromkeys(window.wrong))}")
    must(len(papers) == len(SCHEMES), f"light and dark have the same background, {papers}")
    return f"{shown} pages"


def narrow(seen: Visit) -> str:
    """Every page fits a narrow window."""
    with seen.window("petra", width=NARROW) as window:
        page = window.page
        screens = _screens(page)
        for name, address in screens.items():
            page.goto(address)
            width = page.evaluate("document.documentElement.scrollWidth")
            must(width <= NARROW, f"{address} is {width} px wide")
            if name == "engagements":
                seen.shoot(page, "engagements-narrow")
    return f"{len(screens)} pages in {NARROW} px; wide tables scroll in themselves"


def keyboard(seen: Visit) -> str:
    """Tab and Enter are enough, and the focus is seen."""
    with seen.window("petra") as window:
        page = window.page
        page.goto("/psflow/engagements")
        page.keyboard.press("Tab")
        must(_focused(page) == "Skip to the content", f"the first Tab reaches {_focused(page)!r}")
        page.keyboard.press("Tab")
        must(_focused(page) == "Engagements", f"the second Tab reaches {_focused(page)!r}")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/psflow/exceptions")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        must(page.evaluate("document.activeElement.id") == "main", "the skip link does not lead to the content")
    return "Tab reaches the skip link and the first link; Enter opens and skips"


def _focused(page: Page) -> str:
    """Return the text of what has the focus. Raises Unlike unless a person can see that it has."""
    text, outline, left, right = page.evaluate("""() => {
        const it = document.activeElement, box = it.getBoundingClientRect();
        return [it.innerText, parseFloat(getComputedStyle(it).outlineWidth), box.left, innerWidth - box.right];
    }""")
    must(outline >= 2 and left >= 0 and right >= 0, f"the focus on {text!r} cannot be seen")
    return str(text)


def engagement_numbers(seen: Visit) -> str:
    """Each number on Engagements is the number of its rows."""
    with seen.window("petra") as window:
        page = window.page
        page.goto("/psflow/engagements")
        total = page.locator(".matrix tr:last-child td:last-child").inner_text()
        won = meridian.expected().won
        must(total == str(won), f"the matrix counts {total} engagements, {won} deals were won")
        counted = _numbers(page, ".matrix", "Engagements")
        listed = _numbers(page, "main table:not(.matrix) td:nth-child(6)", "Exceptions")
    return f"{counted} of the matrix, which sums to {won} won deals, and {listed} of exceptions"


def team_numbers(seen: Visit) -> str:
    """Each number by team on Exceptions is the number of its rows."""
    with seen.window("petra") as window:
        window.page.goto("/psflow/exceptions")
        counted = _numbers(window.page, ".matrix td:nth-child(-n+4)", "Exceptions")
    return f"{counted} numbers"


def _numbers(page: Page, where: str, table: str) -> int:
    """Click every number of a place and count the rows behind it; return how many numbers there were."""
    links = page.locator(f"{where} a")
    numbers = links.all_inner_texts()
    must(bool(numbers), f"{page.url}: no number is a link")
    for at, number in enumerate(numbers):
        with page.expect_navigation():
            links.nth(at).click()
        found = rows(page, table).count()
        must(found == int(number), f"{number} leads to {found} rows: {page.url}")
        page.go_back()
    return len(numbers)


def blocked(seen: Visit) -> str:
    """Blocked deals say whose they are, what to do and what they are worth."""
    wanted = meridian.expected().blocked
    names = {deal.number: deal.name for deal in meridian.current().deals}
    with seen.window("petra") as window:
        page = window.page
        page.goto("/psflow/engagements?state=blocked")
        found = rows(page, "Engagements")
        must(found.count() == len(wanted), f"{found.count()} engagements are blocked, not {len(wanted)}")
        for deal, gates in wanted.items():
            row = found.filter(has_text=names[deal])
            owner, step, money = (row.locator("td").nth(at).inner_text() for at in (2, 3, 5))
            must(len(owner) > 2 and len(step) > 20 and bool(_MONEY.search(money)), f"{owner}, {step}, {money}")
            seen.shoot(page, "engagements-blocked")
            row.locator("td").nth(4).get_by_role("link").click()
            _each_says(rows(page, "Exceptions"), len(gates))
            page.go_back()
    return f"{', '.join(names[deal] for deal in wanted)}: owner, fix and money in each exception"


def _each_says(found: Locator, wanted: int) -> None:
    found.first.wait_for()
    must(found.count() == wanted, f"{found.count()} exceptions, not {wanted}")
    for row in found.all():
        fix, team, money = (row.locator("td").nth(at).inner_text() for at in (0, 1, 5))
        is_whole = "Do: " in fix and len(team) > 2 and bool(_MONEY.search(money))
        must(is_whole, f"fix, team or money is lacking: {row.inner_text()}")


def trace(seen: Visit) -> str:
    """Each system is in the trace of a deal, and so is its invoice."""
    with seen.window("petra") as window:
        page = window.page
        page.goto("/psflow/engagements")
        page.get_by_role("searchbox", name="Find any id").fill(TRACED)
        page.get_by_role("button", name="Trace").click()
        page.wait_for_url(f"**/trace?id={TRACED}")
        systems = set(page.locator(".timeline .where").all_inner_texts())
        lacking = {"Salesforce", "Kantata OX", "Tryton", "Float"} - systems
        must(not lacking, f"nothing happened in {', '.join(sorted(lacking))}")
        links = page.locator(".timeline a[data-vendor]").count()
        must(page.locator("#invoice").count() == 1 and links >= 3, f"no invoice, or only {links} links to systems")
        page.locator("#invoice").scroll_into_view_if_needed()
        seen.shoot(page, "trace-invoice")
        steps = rows(page, "Timeline").count()
    return f"{TRACED}: {steps} steps in {', '.join(sorted(systems))}"


def _screens(page: Page) -> dict[str, str]:
    """Return screenshot -> address of every kind of page."""
    exception = blocking_exception(page)
    page.goto("/psflow/gates?verdict=held")
    gate = rows(page, "Verdicts over time").first.locator("th a").get_attribute("href")
    screens = {name: f"/psflow/{name}" for name in _PAGES}
    return screens | {"exception": exception, "gate": str(gate), "trace": f"/psflow/trace?id={TRACED}"}
