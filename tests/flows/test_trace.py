"""One id, from whatever system, leads to the whole history of its engagement."""

from __future__ import annotations

import pytest

from psflow import trace
from psflow.flows import reconciliation
from psflow.store import exceptions
from psflow.store.exceptions import Finding
from tests.flows.conftest import Firm


@pytest.fixture
def billed(firm: Firm) -> Firm:
    """Two entries, one without a rate that somebody works on; one invoice; one deal that was renamed."""
    firm.start()
    firm.log(1)
    firm.log(2, role_id="1")
    firm.load_time()
    firm.bill()
    reconciliation.read_erp(firm.store, firm.erp)
    firm.win(1, Name="Rollout one")
    firm.sync()
    number = firm.exceptions("rate")[0]["exception_id"]
    exceptions.assign(firm.store, number, "P-101", "P-102", "please add the rate")
    return firm


@pytest.mark.parametrize(
    ("identifier", "kind"),
    [
        ("E-1001", "engagement"),
        ("E-1001.1", "run of activation"),
        ("006000000000001AAA", "deal"),
        ("006000000000001", "deal"),
        ("C-77", "customer"),
        ("P-1001", "project"),
        ("1", "time entry"),
        ("#1", "exception"),
        ("MER-US.2026-10.1", "billing batch"),
        ("r", "run of billing"),
        ("MER-US.2026-10.1.P-1001", "invoice"),
        ("INV-1", "ERP invoice"),
        ("kantata:create_project:E-1001.1", "effect"),
        ("1", "record in kantata"),
        (" P-1001 ", "project"),
    ],
)
def test_every_id_leads_to_its_engagement_and_says_what_it_is(billed: Firm, identifier: str, kind: str) -> None:
    found = trace.find(billed.store, identifier)
    assert list(found) == ["E-1001"]
    assert kind in found["E-1001"]


@pytest.mark.parametrize("identifier", ["nobody", "", "%", "' or true --", "#99999999999999999999"])
def test_what_nobody_knows_leads_nowhere(billed: Firm, identifier: str) -> None:
    assert trace.find(billed.store, identifier) == {}


def test_the_history_tells_deal_effects_hours_gate_people_invoice_and_what_is_open(billed: Firm) -> None:
    rows = trace.history(billed.store, "E-1001")
    told = {row["what"] for row in rows}
    assert told >= {
        "deal received", "deal changed", "now active", "effect registered", "effect done", "hours loaded",
        "batch frozen", "gate passed", "batch submitted", "batch approved", "invoice", "exception opened",
        "exception assigned",
    }  # fmt: skip
    assert {row["where"] for row in rows} == {"Salesforce", "Kantata OX", "Tryton", "psflow"}
    assert {row["who"] for row in rows} == {"P-101", "P-102", None}
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)


def test_a_change_shows_what_was_there_before_and_after(billed: Firm) -> None:
    (change,) = [row for row in trace.history(billed.store, "E-1001") if row["what"] == "deal changed"]
    assert "Name Rollout 1" in change["was"]
    assert "Name Rollout one" in change["became"]


def test_an_edited_hour_shows_what_was_there_before_and_after(billed: Firm) -> None:
    billed.log(1, 90, updated_at="2026-11-05T12:00:00Z")
    billed.load_time()
    (change,) = [row for row in trace.history(billed.store, "E-1001") if row["what"] == "hour edited"]
    assert (change["subject"], change["was"], change["became"]) == ("1 version 2", "minutes 60", "minutes 90")


def test_done_effects_name_the_record_at_its_vendor(billed: Firm) -> None:
    links = {
        (row["system"], row["link_kind"]): row["link_id"]
        for row in trace.history(billed.store, "E-1001")
        if row["what"] == "effect done"
    }
    assert links[("kantata", "project")] == "1"
    assert links[("salesforce", "opportunity")] == "006000000000001AAA"
    assert ("tryton", "invoice") in links


def test_the_printed_history_cuts_no_id(billed: Firm, capsys: pytest.CaptureFixture[str]) -> None:
    head = trace.head(billed.store, "E-1001")
    trace._print(head, ["engagement"], trace.history(billed.store, "E-1001"))
    printed = capsys.readouterr().out
    assert "E-1001 Rollout one · Acme" in printed and "matched as engagement" in printed
    assert "…" not in printed
    assert "please add the rate" in printed.replace("\n", " ") or "please add" in printed


def test_money_has_its_currency_and_nothing_is_raw_json(firm: Firm) -> None:
    firm.start()
    firm.log(1)
    firm.spend(2)
    firm.load_time()
    firm.load_expenses()
    firm.bill()
    firm.win(1, Amount=60000)
    firm.sync()
    rows = trace.history(firm.store, "E-1001")
    (change,) = [row for row in rows if row["what"] == "deal changed"]
    assert (change["was"], change["became"]) == ("Amount 50,000.00 USD", "Amount 60,000.00 USD")
    (draft,) = [row for row in rows if row["says"] == "draft invoice"]
    assert "expenses amount 100.55 USD, erp tax No sales tax, category Travel" in draft["became"]
    assert "lines role Consultant, hours 1, amount 180.50 USD, erp tax No sales tax, hourly" in draft["became"]
    assert "taxes tax 0.00 USD, reason Not subject to sales tax, taxable 281.05 USD, category O" in draft["became"]
    assert not [row for row in rows if "{" in f"{row['was']}{row['became']}" or "[" in f"{row['was']}{row['became']}"]


def test_an_exception_of_an_expense_is_in_the_trace_and_puts_its_money_at_risk(firm: Firm) -> None:
    firm.start()
    firm.spend(2)
    firm.load_expenses()
    with firm.store.transaction("test"):
        exceptions.open_all(firm.store, firm.config, [
            Finding("expense_entry", "expense_entry", "2", "has_receipt", "no", "EX-03: has a receipt"),
        ])  # fmt: skip
    (found,) = firm.exceptions("expense_entry")
    assert (found["engagement_id"], str(found["amount_at_risk"]), found["currency"]) == ("E-1001", "100.550", "USD")
    (told,) = [row for row in trace.history(firm.store, "E-1001") if row["what"] == "exception opened"]
    assert told["subject"].endswith("expense entry expense entry 2") and told["was"] == "has receipt no"
