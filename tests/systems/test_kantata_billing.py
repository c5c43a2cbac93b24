"""What Kantata bills, as its invoices tell it: no lines of their own, but what they name and what that comes to."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from psflow.systems.kantata.client import Kantata
from psflow.systems.ports import Bill, BillLine
from tests.systems.test_kantata import client, entry
from tests.systems.test_kantata_delivery import STRICT, T0, T1, T2, expense


@pytest.fixture
def psa(kantata_sandbox: Any) -> Kantata:
    kantata_sandbox.load({"workspaces": [STRICT]})
    return client(kantata_sandbox)


def invoice(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(number), "updated_at": T0, "invoice_date": "2026-11-01", "currency": "USD", "currency_base_unit": 100,
        "draft": False, "status": "new", "user_invoice_number": 1000 + number, "balance_in_cents": 18050,
        "workspace_ids": ["55"],
    } | fields  # fmt: skip


def bills(psa: Kantata, since: str | None = None) -> list[Bill]:
    moment = dt.datetime.fromisoformat(since) if since else None
    return [row.record for page in psa.bills(moment) for row in page.rows]


def lines(psa: Kantata) -> list[tuple[str, str | None, Decimal | None]]:
    (bill,) = bills(psa)
    return [(line.line_id, line.entry_id, line.amount) for line in bill.lines]


def test_an_hour_comes_to_its_minutes_at_its_rate_rounded_once(kantata_sandbox: Any, psa: Kantata) -> None:
    hour = entry(1, time_in_minutes=20, rate_in_cents=20000, currency="USD", notes="design")
    kantata_sandbox.load({"time_entries": [hour], "invoices": [invoice(7, time_entry_ids=["1"], tax_rate="8.25")]})
    (bill,) = bills(psa)
    assert bill.lines == (BillLine("time:1", "time", "1", "55", 20, Decimal(200), Decimal("66.67"), "design"),)
    assert (bill.number, bill.state, bill.balance) == ("1007", "open", Decimal("180.5"))
    assert (bill.tax_pct, bill.billed_on) == (Decimal("8.25"), dt.date(2026, 11, 1))


def test_a_yen_has_no_cents(kantata_sandbox: Any, psa: Kantata) -> None:
    hour = entry(1, time_in_minutes=20, rate_in_cents=20000, currency="JPY")
    yen = {"currency": "JPY", "currency_base_unit": 1, "balance_in_cents": 6667}
    kantata_sandbox.load({"time_entries": [hour], "invoices": [invoice(7, time_entry_ids=["1"]) | yen]})
    assert lines(psa) == [("time:1", "1", Decimal(6667))]


def test_expenses_fees_and_milestones_are_lines_that_say_what_they_come_to(kantata_sandbox: Any, psa: Kantata) -> None:
    named = {
        "expense_ids": ["3"], "fixed_fee_item_ids": ["4"], "additional_item_ids": ["5"], "billing_milestone_ids": ["6"],
    }  # fmt: skip
    kantata_sandbox.load(
        {
            "expenses": [expense(3)],
            "fixed_fee_items": [{"id": "4", "amount_in_cents": 100000, "currency": "USD", "workspace_id": "55"}],
            "additional_items": [{"id": "5", "amount_in_cents": -500, "currency": "USD"}],
            "billing_milestones": [{"id": "6", "amount_in_cents": 250000, "title": "Go-live"}],
            "invoices": [invoice(7, **named)],
        }
    )
    assert lines(psa) == [
        ("expense:3", "3", Decimal("123.45")), ("fixed_fee_items:4", None, Decimal(1000)),
        ("additional_items:5", None, Decimal(-5)), ("billing_milestones:6", None, Decimal(2500)),
    ]  # fmt: skip


def test_a_line_that_cannot_say_its_amount_has_none_and_is_not_left_out(kantata_sandbox: Any, psa: Kantata) -> None:
    hours = [entry(1, rate_in_cents=None), entry(2, rate_in_cents=100, currency="EUR")]
    named = {"time_entry_ids": ["1", "2", "404"], "time_adjustment_ids": ["9"], "expense_ids": ["404"]}
    kantata_sandbox.load({"time_entries": hours, "invoices": [invoice(7, **named)]})
    assert lines(psa) == [
        ("time:1", "1", None), ("time:2", "2", None), ("time:404", "404", None), ("expense:404", "404", None),
        ("time_adjustments:9", None, None),
    ]  # fmt: skip


def test_a_draft_a_live_and_a_cancelled_invoice_are_told_apart(kantata_sandbox: Any, psa: Kantata) -> None:
    rows = [invoice(1, draft=True), invoice(2, status="accepted invoice"), invoice(3, status="cancelled")]
    kantata_sandbox.load({"invoices": rows})
    assert {bill.bill_id: bill.state for bill in bills(psa)} == {"1": "draft", "2": "open", "3": "cancelled"}


def test_only_what_changed_is_read_again(kantata_sandbox: Any, psa: Kantata) -> None:
    kantata_sandbox.load({"invoices": [invoice(1), invoice(2, updated_at=T2)]})
    assert [bill.bill_id for bill in bills(psa, T1)] == ["2"]


def test_an_invoice_without_a_currency_is_set_aside(kantata_sandbox: Any, psa: Kantata) -> None:
    kantata_sandbox.load({"invoices": [invoice(1, currency=None), invoice(2)]})
    (page,) = psa.bills(None)
    assert [bad.record_id for bad in page.bad] == ["1"] and [row.record_id for row in page.rows] == ["2"]
