"""Every approved expense with its receipt is billed at cost, once, beside the hours and to the cent."""

from __future__ import annotations

import datetime as dt
import itertools
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from psflow.errors import GateFailed, Rejected
from psflow.flows import billing, billing_posting, reconciliation, time_expense
from psflow.gates.suite import ExpectationGate, FailingRow
from psflow.systems.ports import ErpInvoice
from tests.flows.conftest import Firm, PassGate

LATER = "2026-11-02T00:00:00Z"
NUMBERS = itertools.count(100)


@pytest.fixture
def working(firm: Firm) -> Firm:
    """A firm with one active project."""
    firm.start()
    return firm


def charges(firm: Firm) -> list[tuple[str, Decimal]]:
    rows = firm.store.rows("select charge_id, amount from billing.charge order by charge_id")
    return [(row["charge_id"], row["amount"]) for row in rows]


def documents(firm: Firm) -> list[ErpInvoice]:
    keys = [row["invoice_key"] for row in firm.store.rows("select invoice_key from billing.invoice")]
    return [document for document in firm.erp.invoices(keys) if document.state == "posted"]


def posted(firm: Firm) -> Decimal:
    return sum((document.untaxed_amount for document in documents(firm)), Decimal())


def billed(firm: Firm) -> Decimal:
    return Decimal(firm.store.value("select coalesce(sum(amount), 0) from billing.counted_charge"))


def tied(firm: Firm) -> dict[str, int]:
    reconciliation.read_erp(firm.store, firm.erp)
    return reconciliation.tie_out(firm.store, firm.config)


def heads(firm: Firm) -> dict[str, tuple[int, int | None, str]]:
    rows = firm.store.rows("select * from core.expense_entry_head order by expense_entry_id")
    return {r["expense_entry_id"]: (r["latest_version"], r["passed_version"], r["state"]) for r in rows}


def told(firm: Firm, rule: str) -> list[tuple[str, str, str, str | None]]:
    return [(e["entity"], e["record_id"], e["field"], e["value"]) for e in firm.exceptions(rule)]


def give_rate(firm: Firm, currency: str, day: str, rate: str) -> None:
    with firm.store.transaction("test"):
        firm.store.run(
            "insert into core.fx_rate values (%(currency)s, 'USD', %(day)s, %(rate)s, 'tryton') "
            "on conflict (from_currency, to_currency, valid_on) do update set rate = excluded.rate",
            currency=currency, day=day, rate=rate,
        )  # fmt: skip


def delete(folder: Path, number: int) -> None:
    """Somebody deletes an expense in the PSA, which keeps no trace."""
    with sqlite3.connect(folder / "kantata.sqlite") as shelf:
        shelf.execute("delete from record where kind = 'expenses' and id = ?", [str(number)])


# loading


def test_an_expense_is_kept_once_and_knows_its_project_and_its_person(working: Firm) -> None:
    working.spend(1)
    first = time_expense.load_expenses(working.store, working.config, working.psa)
    again = time_expense.load_expenses(working.store, working.config, working.psa)
    assert (first["changed"], again["changed"]) == (1, 0)
    row = working.store.row("select project_code, resource_id, amount, currency, has_receipt from core.expense_entry")
    assert row and tuple(row.values()) == ("P-1001", "7", Decimal("100.55"), "USD", True)


def test_a_person_is_ours_by_the_crosswalk_whoever_minted_the_id(working: Firm, admin_url: str) -> None:
    with psycopg.connect(admin_url) as owner:
        owner.execute(
            "insert into core.resource (resource_id, name, role, is_active) values ('B-9', 'Ann', 'Partner', true)"
        )
        owner.execute("update ops.crosswalk set entity_id = 'B-9' where kind = 'resource'")
    working.spend(1)
    working.log(1, role_id=None)
    working.load_expenses()
    working.load_time()
    assert working.store.value("select resource_id from core.expense_entry") == "B-9"
    entry = working.store.row("select resource_id, billed_role from core.time_entry")
    assert entry == {"resource_id": "B-9", "billed_role": "Partner"}


def test_without_a_receipt_it_is_held_and_told_and_the_rest_goes_on(working: Firm, real_gate: ExpectationGate) -> None:
    working.spend(1)
    working.spend(2, receipt_id=None)
    working.spend(3, receipt_id=None, is_billable=False)
    working.spend(4, -500)
    working.spend(5, workspace_id="404")
    assert working.load_expenses(real_gate) == {"passed": 2, "held": 3}
    found = [
        (e["record_id"], e["field"], e["owner_team"], e["amount_at_risk"]) for e in working.exceptions("expense_entry")
    ]
    assert found == [
        ("2", "has_receipt", "pmo", Decimal("100.55")), ("4", "amount", "pmo", Decimal("-5")),
        ("5", "project_code", "pmo", Decimal("100.55")),
    ]  # fmt: skip
    working.bill()
    assert charges(working) == [("expense:1.1", Decimal("100.550"))]
    working.spend(2, updated_at=LATER)
    working.spend(4, 500, updated_at=LATER)
    working.spend(5, updated_at=LATER)
    assert working.load_expenses(real_gate) == {"passed": 3, "held": 0} and working.exceptions() == []


def test_a_held_expense_passes_once_its_project_is_known(firm: Firm, real_gate: ExpectationGate) -> None:
    firm.sync()
    firm.spend(1)
    assert firm.load_expenses(real_gate) == {"passed": 0, "held": 1}
    firm.start()
    assert firm.load_expenses(real_gate) == {"passed": 1, "held": 0} and firm.exceptions() == []


def test_an_expense_out_of_shape_is_kept_for_a_person_and_is_not_taken_as_deleted(working: Firm) -> None:
    working.spend(1)
    working.load_expenses()
    working.spend(1, amount_in_cents="12", updated_at=LATER)
    assert time_expense.load_expenses(working.store, working.config, working.psa)["gone"] == 0
    assert told(working, "record") == [("expense_entry", "1", "payload", None)]
    working.spend(1, updated_at=LATER)
    working.load_expenses()
    assert working.exceptions() == [] and heads(working) == {"1": (1, 1, "passed")}


def test_an_expense_that_is_there_again_is_gone_no_more(working: Firm, tmp_path: Path) -> None:
    working.spend(1, status="pending")
    working.load_expenses()
    delete(tmp_path, 1)
    working.load_expenses()
    working.spend(1, status="pending")
    working.load_expenses()
    versions = working.store.rows("select is_gone from core.expense_entry order by version")
    assert [row["is_gone"] for row in versions] == [False, True, False]


# billing


def test_it_is_billed_at_cost_once(working: Firm) -> None:
    working.spend(1)
    working.load_expenses()
    working.bill()
    assert charges(working) == [("expense:1.1", Decimal("100.550"))] and posted(working) == Decimal("100.55")
    working.load_expenses()
    assert working.freeze() is None and tied(working) == {"comparisons": 1 + 1 + 1 + 3 + 2, "breaks": 0}


@pytest.mark.parametrize("fields", [{"status": "pending"}, {"is_billable": False}, {"date": "2026-11-01"}])
def test_what_is_not_to_be_billed_is_not(working: Firm, fields: dict[str, Any]) -> None:
    working.spend(1, **fields)
    working.load_expenses()
    assert working.freeze() is None


def test_hours_and_expenses_stand_on_one_invoice_a_line_a_role_and_a_line_a_category(
    working: Firm, real_gate: ExpectationGate
) -> None:
    working.log(1, 90)
    for number, cents, category in ((1, 10055, "Travel"), (2, 2010, "Lodging"), (3, 5, "Travel"), (4, 700, None)):
        working.spend(number, cents, category=category)
    working.load_time(real_gate)
    working.load_expenses(real_gate)
    working.post(working.approve(real_gate))
    (draft,) = working.erp.documents.values()
    assert [(line["role"], line["amount"]) for line in draft["lines"]] == [("Consultant", "270.750")]
    assert [(line["category"], line["amount"]) for line in draft["expenses"]] == [
        ("Lodging", "20.100"), ("Travel", "100.600"), ("other", "7.000"),
    ]  # fmt: skip
    assert tied(working) == {"comparisons": 5 + 4 + 4 + 3 + 2, "breaks": 0} and working.exceptions() == []


def test_an_hour_and_an_expense_of_one_number_are_two_things(working: Firm) -> None:
    working.log(1)
    working.spend(1)
    working.load_time()
    working.load_expenses()
    working.post(working.approve(PassGate(2, (FailingRow("expense:1", "x", "y", "BB-9", "no"),))))
    assert [c[0] for c in charges(working)] == ["1.1"] and told(working, "billing") == [
        ("expense_entry", "1", "x", "y")
    ]
    assert tied(working)["breaks"] == 0
    working.bill()
    assert [c[0] for c in charges(working)] == ["1.1", "expense:1.1"]
    assert working.exceptions() == [] and tied(working)["breaks"] == 0


@pytest.mark.parametrize(
    ("edit", "amount"),
    [
        ({"cents": 20000}, "200.000"), ({"category": "Lodging"}, "100.550"), ({"date": "2026-10-06"}, "100.550"),
        ({"currency": "EUR"}, "110.610"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)  # fmt: skip
def test_an_edit_after_invoicing_is_reversed_and_billed_again(working: Firm, edit: dict[str, Any], amount: str) -> None:
    give_rate(working, "EUR", "2026-10-01", "1.1")
    working.spend(1)
    working.load_expenses()
    working.bill()
    working.spend(1, updated_at=LATER, **edit)
    working.log(2, 120)
    working.load_time()
    working.load_expenses()
    assert tied(working)["breaks"] == 0  # no batch had the chance yet
    working.bill()
    assert charges(working) == [
        ("2.1", Decimal("361.000")), ("expense:1.1", Decimal("100.550")), ("expense:1.1.R", Decimal("-100.550")),
        ("expense:1.2", Decimal(amount)),
    ]  # fmt: skip
    assert posted(working) == Decimal("361") + Decimal(amount) and tied(working)["breaks"] == 0


def test_an_expense_that_is_no_longer_approved_is_reversed(working: Firm) -> None:
    working.spend(1)
    working.load_expenses()
    working.bill()
    working.spend(1, status="rejected", updated_at=LATER)
    working.load_expenses()
    assert working.freeze() is None and told(working, "billing") == [("project", "P-1001", "amount", "-100.55")]
    working.spend(2, 30000, updated_at=LATER)
    working.load_expenses()
    working.bill()
    assert charges(working)[1] == ("expense:1.1.R", Decimal("-100.550"))
    assert posted(working) == Decimal("300.00") and working.exceptions() == [] and tied(working)["breaks"] == 0


def test_an_expense_that_was_deleted_is_reversed_and_one_that_is_there_again_is_billed_again(
    working: Firm, tmp_path: Path
) -> None:
    working.spend(1)
    working.spend(2, 5000)
    working.load_expenses()
    working.bill()
    delete(tmp_path, 1)
    working.spend(3, 20000, updated_at=LATER)
    assert time_expense.load_expenses(working.store, working.config, working.psa)["gone"] == 1
    working.load_expenses()
    working.bill()
    assert billed(working) == posted(working) == Decimal("250.00") and tied(working)["breaks"] == 0
    working.spend(1)
    working.load_expenses()
    working.bill()
    assert billed(working) == posted(working) == Decimal("350.55") and tied(working)["breaks"] == 0


def test_a_foreign_currency_is_converted_once_at_the_rate_of_its_day(working: Firm, real_gate: ExpectationGate) -> None:
    give_rate(working, "EUR", "2026-10-01", "1.10555")
    give_rate(working, "EUR", "2026-10-06", "2")  # a day too late
    for number in (1, 2, 3):
        working.spend(number, 333, currency="EUR")
    working.load_expenses(real_gate)
    working.post(working.approve(real_gate))
    assert [amount for _, amount in charges(working)] == [Decimal("3.680")] * 3  # 3.6814815 each, not 11.04 in all
    assert posted(working) == Decimal("11.04") and tied(working)["breaks"] == 0
    unit = "select unit, left_value from finance.invoice_tie_out where record_id = '1'"
    assert working.store.row(unit) == {"unit": "EUR", "left_value": Decimal("3.3300")}
    give_rate(working, "EUR", "2026-10-01", "1.5")  # what was billed keeps the rate it was billed at
    assert working.freeze() is None
    working.spend(1, 433, currency="EUR", updated_at=LATER)
    working.load_expenses()
    working.bill()
    assert charges(working)[2] == ("expense:1.2", Decimal("4.790"))


def test_without_a_rate_it_is_held_and_never_billed_one_to_one(working: Firm) -> None:
    working.spend(1, currency="EUR")
    working.spend(2)
    give_rate(working, "EUR", "2026-10-06", "1.1")  # of the day after
    working.load_expenses()
    working.bill()
    assert charges(working) == [("expense:2.1", Decimal("100.550"))]
    (found,) = working.exceptions("rate")
    assert (found["entity"], found["record_id"], found["value"]) == ("expense_entry", "1", "EUR")
    assert found["message"] == "no rate from EUR to USD on or before 2026-10-05; enter it in the ERP"
    assert (found["amount_at_risk"], found["currency"]) == (Decimal("100.55"), "EUR")
    assert tied(working)["breaks"] == 0
    give_rate(working, "EUR", "2026-10-05", "1.1")
    working.bill()
    assert charges(working)[0] == ("expense:1.1", Decimal("110.610")) and working.exceptions() == []


def test_the_missing_rate_of_an_hour_and_of_an_expense_of_one_number_are_two_exceptions(working: Firm) -> None:
    working.log(1, role_id="1")
    working.spend(1, currency="EUR")
    working.load_time()
    working.load_expenses()
    assert working.freeze() is None
    both = [("expense_entry", "1", "currency", "EUR"), ("time_entry", "1", "role", "Partner")]
    assert sorted(told(working, "rate")) == both
    working.log(1, role_id="1", approved=False, updated_at=LATER)
    working.load_time()
    assert working.freeze() is None and told(working, "rate") == both[:1]


def test_what_was_done_before_we_bill_is_loaded_and_judged_and_never_billed(
    working: Firm, real_gate: ExpectationGate
) -> None:
    starts = next(e.billing_starts_on for e in working.config.legal_entities if e.legal_entity_id == "MER-US")
    assert starts
    before, first = (starts - dt.timedelta(days=1)).isoformat(), starts.isoformat()
    for number, day in ((1, before), (2, first)):
        working.log(number, 60, date_performed=day)
        working.spend(number, date=day)
    working.spend(3, date=before, currency="EUR")  # and its missing rate is nobody's work
    assert working.load_time(real_gate) == {"passed": 2, "held": 0}
    assert working.load_expenses(real_gate) == {"passed": 3, "held": 0}
    working.bill()
    assert [c[0] for c in charges(working)] == ["2.1", "expense:2.1"]
    assert working.exceptions() == [] and tied(working)["breaks"] == 0


def test_an_amount_that_is_not_the_cost_is_held_by_the_batch_gate(
    working: Firm, real_gate: ExpectationGate, admin_url: str
) -> None:
    working.log(1)
    working.spend(1)
    working.load_time()
    working.load_expenses()
    batch = working.freeze()
    assert batch
    with psycopg.connect(admin_url) as owner:
        owner.execute("update billing.batch_line set amount = amount + 0.01 where expense_entry_id = '1'")
    billing.check(working.store, working.config, real_gate, batch)
    assert told(working, "billing") == [("expense_entry", "1", "is_at_cost", "no")]


@pytest.mark.parametrize(
    "change",
    ["cost = cost + 1", "fx_rate = 2", "category = 'Food'", "cost_currency = 'EUR'", "expense_entry_id = '2'"],
)
def test_cost_rate_and_category_are_part_of_what_two_people_approve(working: Firm, admin_url: str, change: str) -> None:
    working.spend(1)
    working.load_expenses()
    batch = working.approve()
    with psycopg.connect(admin_url) as owner:
        shown = owner.execute("select billing.content_hash(%s)", [batch]).fetchone()
        owner.execute(f"update billing.batch_line set {change}")  # type: ignore[arg-type]
        assert owner.execute("select billing.content_hash(%s)", [batch]).fetchone() != shown
    with pytest.raises(GateFailed):
        working.post(batch)
    assert charges(working) == [] and working.erp.documents == {}


def test_an_expense_that_changed_since_it_was_approved_posts_nothing(working: Firm) -> None:
    working.spend(1)
    working.load_expenses()
    batch = working.approve()
    working.spend(1, category="Food", updated_at=LATER)
    working.load_expenses()
    with pytest.raises(GateFailed, match="stale: 1 lines changed"):
        working.post(batch)


def test_a_draft_cancelled_in_the_erp_gives_its_expenses_to_the_next_batch(working: Firm) -> None:
    working.spend(1)
    working.load_expenses()
    run = (working.store, working.config, working.erp, working.approve())
    billing_posting.release(*run)
    billing_posting.draft(*run)
    working.erp.documents["1"]["state"] = "cancelled"
    billing_posting.read_back(*run)
    with pytest.raises(Rejected):
        billing_posting.post(*run)
    assert tied(working)["breaks"] == 0
    working.bill()
    assert [c[0] for c in charges(working)] == ["expense:1.1", "expense:1.1~2"]
    assert billed(working) == posted(working) == Decimal("100.55") and tied(working)["breaks"] == 0


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("update billing.batch_line set minutes = 60", psycopg.errors.CheckViolation),
        ("update billing.batch_line set fx_rate = null", psycopg.errors.CheckViolation),
        ("update billing.invoice_line set role = 'Partner'", psycopg.errors.CheckViolation),
        (
            "insert into billing.charge (charge_id, batch_id, line_key, kind, expense_entry_id, version, project_code, "
            "worked_on, category, cost, cost_currency, fx_rate, amount, currency) select 'again', batch_id, line_key, "
            "kind, expense_entry_id, version, project_code, worked_on, category, cost, cost_currency, fx_rate, amount, "
            "currency from billing.charge",
            psycopg.errors.UniqueViolation,
        ),
    ],
)
def test_the_ledger_takes_an_expense_once_and_no_line_that_is_half_of_each(
    working: Firm, admin_url: str, statement: Any, error: Any
) -> None:
    working.spend(1)
    working.load_expenses()
    working.bill()
    with pytest.raises(error), psycopg.connect(admin_url) as owner:
        owner.execute(statement)


def test_an_expense_that_a_posted_batch_lost_is_a_break(working: Firm, admin_url: str) -> None:
    working.spend(1)
    working.spend(2)
    working.load_expenses()
    working.bill()
    with psycopg.connect(admin_url) as owner:
        owner.execute("delete from billing.charge where expense_entry_id = '2'")
    assert tied(working)["breaks"] == 2  # the expense without a charge, the line without all of its charges
    assert "1 expenses to charges 2" in {e["record_id"] for e in working.exceptions("tie_out")}


# finance


def test_finance_counts_an_expense_at_its_cost_before_and_after_it_is_invoiced(working: Firm) -> None:
    give_rate(working, "EUR", "2026-10-01", "1.1")
    working.log(1)
    working.spend(1, currency="EUR")
    working.load_time()
    working.load_expenses()
    sums = "sum(earned) as e, sum(expenses) as x, sum(invoiced) as i, sum(unbilled) as u"
    total: Any = f"select {sums} from finance.revenue_monthly"
    whole, spent = Decimal("291.11"), Decimal("110.61")
    assert working.store.row(total) == {"e": whole, "x": spent, "i": 0, "u": whole}
    working.bill()
    give_rate(working, "EUR", "2026-10-01", "1.7")  # what is invoiced stays
    assert working.store.row(total) == {"e": whole, "x": spent, "i": whole, "u": 0}
    assert working.store.rows("select * from finance.unbilled_entry") == []


# any history

EXPENSE = st.tuples(
    st.integers(0, 4), st.integers(1, 90000), st.integers(1, 31), st.sampled_from(["Travel", "Food"]),
    st.sampled_from(["USD", "EUR"]), st.sampled_from(["approved", "approved", "pending", "deleted"]), st.booleans(),
)  # fmt: skip
HISTORY = st.lists(st.one_of(EXPENSE, st.sampled_from(["load", "bill"])), min_size=1, max_size=14)


def worth(cents: int, day: int, currency: str) -> Decimal:
    rate = Decimal(1) if currency == "USD" else Decimal("1.23456") if day >= 16 else Decimal("1.1")
    return (Decimal(cents) / 100 * rate).quantize(Decimal("0.01"), "ROUND_HALF_UP")


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=HISTORY)
def test_whatever_happens_in_whatever_order_the_ledger_is_what_is_approved_now(
    working: Firm, tmp_path: Path, history: list[Any]
) -> None:
    give_rate(working, "EUR", "2026-10-01", "1.1")
    give_rate(working, "EUR", "2026-10-16", "1.23456")
    before, now = billed(working), dict[int, Decimal]()
    first = next(NUMBERS) * 10
    for step, event in enumerate([*history, (5, 900000, 1, "Food", "USD", "approved", True), "load", "bill"]):
        if event == "load":
            working.load_expenses()
        elif event == "bill":
            if working.freeze():
                working.bill()
        else:
            number, cents, day, category, currency, status, is_billable = event
            key = first + number
            stamp = f"2026-11-02T00:{step:02d}:00Z"
            working.spend(key, cents, "approved" if status == "approved" else "pending", date=f"2026-10-{day:02d}",
                          category=category, currency=currency, is_billable=is_billable, updated_at=stamp)  # fmt: skip
            now[key] = worth(cents, day, currency) if status == "approved" and is_billable else Decimal()
            if status == "deleted":
                delete(tmp_path, key)
    assert billed(working) - before == sum(now.values())
    assert posted(working) == billed(working) and tied(working)["breaks"] == 0
