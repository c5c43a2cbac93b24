"""The PMO's pages: signed in or not at all, each number equal to its rows, and what customers write stays text."""

from __future__ import annotations

import html
import json
import re
from decimal import Decimal

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from psflow.errors import GateFailed
from psflow.flows import activation
from psflow.gates.suite import FailingRow
from psflow.store import exceptions, workflow
from psflow.store.exceptions import Finding
from psflow.store.sight import EVERYTHING
from tests.airflow.pages import Browse, browse, manager
from tests.flows.conftest import Firm, PassGate

__all__ = ["browse", "manager"]

INVOICE = "MER-US.2026-10.1.P-1001"
HOSTILE = [
    "<script>alert(1)</script>", '" onload="alert(1)', "' autofocus onfocus='alert(1)",
    "[a](javascript:alert(1)) **b** `c`", "{{ 7*7 }}{% raw %}", "</textarea></td><img src=x onerror=alert(1)>",
    "L" * 5000, "\u202egnp.exe", "Zoë & Çelik <GmbH>",
]  # fmt: skip


@pytest.fixture
def busy(firm: Firm) -> Firm:
    """One deal invoiced, one blocked, one delivered with a held hour; exceptions of four teams."""
    firm.start(1)
    firm.log(1)
    firm.load_time()
    firm.bill()
    firm.start(2)
    firm.log(2, 90, workspace_id="2")
    firm.log(3, 99, workspace_id="2")
    firm.load_time(PassGate(2, (FailingRow("3", "minutes", "99", "TE-01", "minutes are a multiple of 15"),)))
    firm.win(3, Legal_Entity__c="Mars")
    (run,) = firm.sync()["start"]
    with pytest.raises(GateFailed):
        activation.check(firm.store, firm.config, **run)
    with firm.store.transaction("test"):
        exceptions.open_all(firm.store, firm.config, [
            Finding("billing", "invoice", INVOICE, "amount", "1", "differs", None, Decimal("90.50"), "USD"),
            Finding("tie_out", "invoice", INVOICE, "amount", "1", "differs", None, Decimal("9"), "EUR"),
            Finding("effect", "effect", "kantata:create_project:E-1002.1", "dead", None, "gave up", "E-1002"),
        ])  # fmt: skip
        firm.store.run("update ops.exceptions set due_at = now() - interval '1 day' where rule = 'billing'")
    return firm


def read(client: TestClient, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, answer.text[:2000]
    return answer.text


def links(page: str) -> list[tuple[str, str]]:
    """Return (address, text) of every link in the page's content."""
    found = re.findall(r'<a [^>]*?href="([^"]+)"[^>]*>(.*?)</a>', page.partition("<main")[2], re.DOTALL)
    return [(html.unescape(href), re.sub(r"<[^>]+>", "", text).strip()) for href, text in found]


def last_table(page: str) -> str:
    return page.rpartition("<tbody>")[2].partition("</tbody>")[0]


def rows_of(page: str) -> int:
    """Return how many rows the page's last table has."""
    return last_table(page).count("<tr")


# -- who gets in


def all_routes() -> list[APIRoute]:
    from psflow_airflow.pages.app import app

    return [route for route in app.routes if isinstance(route, APIRoute)]


def test_every_route_refuses_who_is_not_signed_in(browse: Browse) -> None:
    from psflow_airflow.pages.app import app

    assert len(all_routes()) == len(app.routes) >= 11, "a mount or a bare route carries no authentication"
    nobody = browse(None)
    for route in all_routes():
        path = re.sub(r"\{[^}]+\}", "1", route.path).replace("static/1", "static/psflow.css")
        path = path.replace("exceptions/1/1", "exceptions/1/comment")
        for method in route.methods:
            sent = {"Accept": "application/json", "Sec-Fetch-Site": "same-origin"}
            answer = nobody.request(
                method, path, headers=sent, **({"json": {"comment": "hello"}} if method == "POST" else {})
            )
            assert answer.status_code == 401, f"{method} {path}: {answer.status_code}"


def test_who_is_not_signed_in_is_sent_to_sign_in_and_back(browse: Browse) -> None:
    answer = browse(None).get("/exceptions?team=pmo")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/auth/login?next=http")
    assert "exceptions%3Fteam%3Dpmo" in answer.headers["location"]


def test_a_forged_token_opens_nothing(browse: Browse) -> None:
    nobody = browse(None)
    nobody.cookies.set("_token", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.")
    assert nobody.get("/engagements", headers={"Accept": "application/json"}).status_code in (401, 403)


@pytest.mark.parametrize("path", ["/engagements", "/trace", "/exceptions", "/gates"])
def test_a_page_may_load_nothing_from_elsewhere(browse: Browse, path: str) -> None:
    answer = browse("paula").get(path)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "frame-ancestors 'self'" in policy
    assert not re.search(r"""(src|href|action)=["'](https?:)?//""", answer.text)
    assert not re.search(r"<(style|script)>|\son[a-z]+=|\sstyle=", answer.text)
    assert re.search(r'class="skip" href="#main"', answer.text) and 'id="main"' in answer.text


# -- numbers and their rows


def test_each_number_of_the_matrix_is_the_number_of_its_rows(browse: Browse, busy: Firm) -> None:
    client = browse("paula")
    page = read(client, "/engagements")
    numbers = [(href, int(text)) for href, text in links(page) if text.isdigit()]
    assert len(numbers) >= 10
    for href, number in numbers:
        shown = rows_of(read(client, href.removeprefix("/psflow"))) if number else 0
        assert shown == number, href
    assert {(r["stage"], r["state"]) for r in busy.store.rows("select stage, state from ops.workflow_state")} == {
        ("invoiced", "held"), ("delivery", "held"), ("activation", "blocked"),
    }  # fmt: skip


def test_an_engagement_says_who_acts_and_leads_to_its_run(browse: Browse, busy: Firm) -> None:
    page = read(browse("paula"), "/engagements?state=blocked")
    assert rows_of(page) == 1 and "sales operations" in page
    assert "set the legal entity on the opportunity" in page and "50,000.00 USD" in page
    assert ("/dags/activation/runs/E-1003.1", "run") in links(page)
    assert ("/psflow/trace?id=E-1003", "E-1003") in links(page)


def test_each_number_by_team_is_the_number_of_its_rows(browse: Browse, busy: Firm) -> None:
    client = browse("paula")
    page = read(client, "/exceptions")
    table = page.partition("<tbody>")[2].partition("</tbody>")[0]
    teams = re.findall(r'<th scope="row">(.*?)</th>', table)
    assert sorted(teams) == ["data engineering", "finance", "pmo", "sales operations"]
    whole = [(href, int(text)) for href, text in links("<main" + table) if text.isdigit()]
    assert len(whole) == 9  # open and nobody's of four teams, and what is overdue
    for href, number in whole:
        assert rows_of(read(client, href.removeprefix("/psflow"))) == number, href
    assert sum(n for href, n in whole if re.fullmatch(r"/psflow/exceptions\?team=[a-z+]+", href)) == rows_of(page) == 5


def test_money_at_risk_leads_to_the_rows_that_sum_to_it(browse: Browse, busy: Firm) -> None:
    client = browse("paula")
    found = {text: href for href, text in links(read(client, "/exceptions"))}
    assert rows_of(read(client, found["90.50 USD"].removeprefix("/psflow"))) == 1
    assert rows_of(read(client, found["9.00 EUR"].removeprefix("/psflow"))) == 1
    deal = read(client, found["50,000.00 USD"].removeprefix("/psflow"))
    assert rows_of(deal) == 1 and "E-1003" in deal, "a blocked deal puts its amount at risk"
    held = read(client, "/exceptions?rule=time_entry")
    assert "297.83 USD" in held, "99 minutes at 180.50 USD an hour wait"


def test_a_gate_marks_the_field_and_counts_new_known_and_fixed(browse: Browse, busy: Firm) -> None:
    client = browse("paula")
    page = read(client, "/gates?suite=time_expense/time_entry&verdict=held")
    assert rows_of(page) == 1
    (gate,) = {href for href, _ in links("<main" + last_table(page)) if re.fullmatch(r"/psflow/gates/\d+", href)}
    detail = read(client, gate.removeprefix("/psflow"))
    assert "minutes <mark>99</mark>" in detail and "project_code P-1002" in detail and "TE-01" in detail
    assert [text for _, text in links(detail) if re.match(r"(all|new|known|fixed) \d", text)] == [
        "all 1", "new 1", "known 0", "fixed 0",
    ]  # fmt: skip
    busy.log(3, 100, workspace_id="2", updated_at="2026-11-02T00:00:00Z")
    busy.load_time(PassGate(1, (FailingRow("3", "minutes", "100", "TE-01", "minutes are a multiple of 15"),)))
    busy.log(3, 105, workspace_id="2", updated_at="2026-11-03T00:00:00Z")
    busy.load_time()
    newest = read(client, "/gates?suite=time_expense/time_entry&verdict=held")
    counted = [(href, int(text)) for href, text in links(newest) if "show=" in href]
    assert {re.sub(r".*show=", "", href) for href, _ in counted} == {"new", "known", "fixed"}
    for href, number in counted:
        assert rows_of(read(client, href.removeprefix("/psflow"))) == number, href


def test_a_verdict_is_a_line_a_check_that_leads_to_its_values(browse: Browse, busy: Firm) -> None:
    gate = busy.store.value("select gate_id from ops.gate_failure")
    with busy.store.transaction("test"):
        busy.store.run_many(
            "insert into ops.gate_check (gate_id, rule, expectation, field, says, on_fail, outcome, failing_rows) "
            "values (%(gate)s, %(rule)s, 'expect', 'minutes', 'are right', 'hold_row', %(outcome)s, %(rows)s)",
            [{"gate": gate, "rule": "TE-00", "outcome": "ok", "rows": 0},
             {"gate": gate, "rule": "TE-01", "outcome": "held", "rows": 1}],
        )  # fmt: skip
    client = browse("paula")
    page = read(client, f"/gates/{gate}")
    assert "1 of 2 ok" in page and page.index("TE-01") < page.index("TE-00"), "what went wrong comes first"
    (link,) = [href for href, _ in links(page) if "rule=" in href]
    assert rows_of(read(client, link.removeprefix("/psflow").partition("#")[0])) == 1
    assert "None." in read(client, f"/gates/{gate}?rule=TE-00")


def test_the_same_numbers_are_in_the_status(browse: Browse, busy: Firm) -> None:
    found = json.loads(json.dumps(workflow.overview(busy.store), default=str))
    page = read(browse("paula"), "/engagements")
    assert len(found["workflow_state"]) == rows_of(page) == 3
    assert len(found["exception_age"]) == rows_of(read(browse("paula"), "/exceptions"))
    assert {row["stream"] for row in found["stream_lag"]} >= {"customer", "opportunity", "time_entry"}
    assert found["effect_queue"] == []


def test_filters_that_make_no_sense_are_refused_and_unknown_ids_are_said(browse: Browse) -> None:
    client = browse("paula")
    assert client.get("/exceptions?state=shut").status_code == 422
    assert client.get("/exceptions?older=x").status_code == 422
    assert client.get("/exceptions/0").status_code == 422
    assert client.get(f"/exceptions/{2**63}").status_code == 422
    assert "there is no exception 77" in read(client, "/exceptions/77", 404)
    assert "there is no gate verdict 77" in read(client, "/gates/77", 404)
    assert "Nothing here is called <b>nobody</b>" in read(client, "/trace?id=nobody", 404)


# -- tabs


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("/", "/psflow/engagements"),
        ("/dag/activation", "/psflow/engagements"),
        ("/dag/billing", "/psflow/gates?suite=billing/batch"),
        ("/dag/of_somebody_else", "/psflow/exceptions"),
        ("/run/activation/E-1001.1", "/psflow/trace?id=E-1001.1"),
        ("/run/billing/manual__2026-11-24T10:00:00+00:00", "/psflow/gates?suite=billing/batch"),
    ],
)
def test_the_tabs_of_dag_and_run_show_what_belongs_to_them(
    browse: Browse, busy: Firm, path: str, leads_to: str
) -> None:
    assert browse("paula").get(path).headers["location"] == leads_to


# -- hostile text


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_customers_write_stays_text(browse: Browse, firm: Firm, text: str) -> None:
    firm.start(1)
    store = firm.store
    with store.transaction("test"):
        store.run("update core.opportunity set name = %(t)s", t=text)
        store.run("update core.customer set name = %(t)s", t=text)
        exceptions.open_all(store, firm.config, [
            Finding("time_entry", text, text, text, text, text, "E-1001"),
            Finding("effect", "effect", "kantata:x", "dead", text, text, "E-1001"),
        ])  # fmt: skip
    exceptions.comment(store, 1, "P-201", text)
    client = browse("paula")
    found = workflow.exception(store, EVERYTHING, 1)["exception_id"]
    for path in ("/engagements", "/exceptions", f"/exceptions/{found}", "/trace?id=E-1001", "/gates"):
        page = read(client, path)
        assert_harmless(page, text)
        if path != "/gates":
            assert text[:40] in html.unescape(page)
    for path in ("/engagements", "/exceptions", "/trace", "/gates"):
        asked = dict.fromkeys(("q", "team", "rule", "engagement", "assignee", "id", "suite", "batch"), text[:200])
        answer = client.get(path, params=asked)
        assert answer.status_code in (200, 404)
        assert_harmless(answer.text, text[:200])


def assert_harmless(page: str, text: str) -> None:
    """Only our own two tags run or style anything, and no attribute is a handler or a script's address."""
    assert len(re.findall(r"<script", page)) == 1 and len(re.findall(r"<img|<style|<iframe|<object", page)) == 0
    tags = re.findall(r"<[a-zA-Z][^>]*>", re.sub(r'"[^"]*"', '""', page))
    assert not [tag for tag in tags if re.search(r"\son[a-z]+\s*=|autofocus", tag)]
    assert not re.search(r"""(href|src|action)="\s*javascript:""", page, re.IGNORECASE)
    if "<" in text:
        assert text not in page
