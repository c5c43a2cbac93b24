"""A customer's purchase orders: what is billed under one uses it up, and what none takes waits with its money."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from psflow.config import Person
from psflow.contracts import Period
from psflow.contracts.terms import FeeFrom, SubscriptionTerms
from psflow.errors import GateFailed
from psflow.flows import billing_posting, billing_preview, shadow, terms, terms_words
from psflow.flows.billing_difference import stage_difference
from tests.flows.conftest import ENTITY, Firm
from tests.flows.test_billing_contracts import (
    CONTRACT,
    LATER,
    adjust,
    agree,
    breaks,
    cap,
    earned,
    left_out,
    say,
)
from tests.flows.test_explain import everything, told

HEAD = "P-1001:\n  currency: USD\n  agreed_on: 2026-10-01\n  reason: SOW 3\n  purchase_orders:\n"
RATE = Decimal("180.50")
Load = Callable[..., list[str]]
_TAKES_ALL = """
create or replace function billing.take_next(state numeric[], amount numeric, room numeric, is_whole boolean)
    returns numeric[] language sql immutable return array[0, amount]
"""


@pytest.fixture
def working(firm: Firm) -> Firm:
    """A firm with one active project, at 180.50 an hour, and rita, who edits rates."""
    firm.start()
    rita = Person(person="P-401", airflow_user="rita", teams=("finance",), may=("rates",))
    firm.config = firm.config.model_copy(update={"people": (*firm.config.people, rita)})
    return firm


@pytest.fixture
def load(working: Firm, tmp_path: Path) -> Load:
    """Loads orders as a file says them; what is wrong with them comes back."""

    def _load(*said: str) -> list[str]:
        path = tmp_path / "orders.yaml"
        path.write_text(HEAD + "".join(f"    - {{{each}}}\n" for each in said), encoding="utf-8")
        return terms.load(working.store, working.config, path, "rita")[1]

    return _load


def po(number: str, amount: str, since: str = "2026-10-01", until: str = "2026-12-31", **more: str) -> str:
    beside = "".join(f", {name}: {value}" for name, value in more.items())
    return f"number: {number}, amount: {amount}, valid_from: {since}, valid_to: {until}{beside}"


def work(firm: Firm, *days: int, minutes: int = 60) -> None:
    """An hour on each of these days of October, named after its day."""
    for day in days:
        firm.log(day, minutes, date_performed=f"2026-10-{day:02d}")
    firm.load_time()


def under(firm: Firm) -> list[tuple[str, str | None]]:
    rows = firm.store.rows("select charge_id, order_id from billing.charge order by charge_id")
    return [(row["charge_id"], row["order_id"]) for row in rows]


def balance(firm: Firm, number: str) -> Decimal:
    left: Decimal = firm.store.value("select balance from finance.purchase_order where number = %(n)s", n=number)
    return left


def waiting(firm: Firm) -> list[tuple[str, str, Decimal | None]]:
    return [(e["record_id"], e["field"], e["amount_at_risk"]) for e in firm.exceptions("billing")]


def lines(firm: Firm) -> list[tuple[str, str | None]]:
    document = list(firm.erp.documents.values())[-1]
    return [(each["amount"], each.get("purchase_order")) for each in document["lines"] + document["expenses"]]


def test_what_is_more_than_an_order_has_left_waits_whole_and_is_billed_when_it_is_raised(
    working: Firm, load: Load
) -> None:
    load(po("PO-7", "400"))
    work(working, 5, 6, 7)
    working.bill()
    assert under(working) == [("5.1", f"{CONTRACT}#PO-7"), ("6.1", f"{CONTRACT}#PO-7")]
    assert left_out(working) == [("7", "PURCHASE_ORDER_EXCEEDED", 60, Decimal("180.500"))]
    assert waiting(working) == [(f"{CONTRACT}#PO-7", "amount", Decimal("180.500"))]
    assert working.exceptions("billing")[0]["owner_team"] == "finance"
    assert balance(working, "PO-7") == 39 and breaks(working) == 0
    assert earned(working) == {"2026-10": 3 * RATE}  # it is worked, and nobody said that it will not be paid
    reason = "select reason, amount from finance.unbilled_entry where source_id = '7'"
    assert working.store.row(reason) == {"reason": "held", "amount": RATE}
    assert working.freeze() is None
    load(po("PO-7", "600"))
    working.bill()
    assert under(working)[-1] == ("7.1", f"{CONTRACT}#PO-7") and balance(working, "PO-7") == Decimal("58.5")
    assert left_out(working) == [] and waiting(working) == [] and breaks(working) == 0


def test_the_number_is_on_the_invoice_its_plan_and_its_explanation(working: Firm, load: Load) -> None:
    load(po("PO-7", "300"), "number: PO-8, amount: 50.25, valid_from: 2026-10-20")
    agree(
        working,
        "S",
        1,
        SubscriptionTerms(title="Run", fees=(FeeFrom(valid_from=dt.date(2026, 10, 1), monthly_fee=70),)),
    )
    work(working, 5, 6)
    working.spend(1, 5025, date="2026-10-21")
    working.load_expenses()
    plan = billing_preview.preview(working.store, working.config, ENTITY, Period(name="2026-10"))
    assert plan is not None
    assert [(row["of_what"], row["amount"], row["purchase_order"]) for row in plan.tables["lines"]] == [
        ("Consultant", "180.500", "PO-7"), ("Run, 2026-10-01 to 2026-10-31", "70.000", "PO-7"),
        ("Travel", "50.250", "PO-8"),
    ]  # fmt: skip
    use = {row["scope_id"]: (row["level"], row["taken"], row["over_amount"]) for row in plan.tables["caps"]}
    assert use[f"{CONTRACT}#PO-7"] == ("purchase order", "250.500", "180.500")
    assert [row["reason"] for row in plan.tables["held"]] == ["over purchase order PO-7"]
    batch = working.bill()
    assert sorted(lines(working)) == [("180.500", "PO-7"), ("50.250", "PO-8"), ("70.000", "PO-7")]
    assert balance(working, "PO-8") == 0 and breaks(working) == 0
    said = everything(told(working, f"{batch}.P-1001"))
    assert "it is billed under purchase order PO-7: of USD 300.00, USD 0.00 was used before its batch" in said
    assert "it is billed under purchase order PO-8" in said
    assert "USD 180.50 held: no purchase order of its day has that much left" in everything(told(working, "6"))
    working.spend(2, 4951, date="2026-10-22", updated_at=LATER)
    working.load_expenses()
    assert working.freeze() is None  # fees and expenses under an order count as much as hours
    assert ("expense:2", "PURCHASE_ORDER_EXCEEDED", None, Decimal("49.510")) in left_out(working)


def test_orders_are_used_by_their_last_day_and_then_by_number(working: Firm, load: Load) -> None:
    load(
        "number: PO-1, amount: 1000, valid_from: 2026-10-01", po("PO-3", "200"), po("PO-2", "200"),
        po("PO-9", "200", until="2026-10-06"),
    )  # fmt: skip
    work(working, 5, 6, 7, 8)
    working.bill()
    assert [number.partition("#")[2] for _, number in under(working) if number] == ["PO-9", "PO-2", "PO-3", "PO-1"]


@pytest.mark.parametrize(
    ("said", "reason", "field"),
    [
        ("required: true", "PURCHASE_ORDER_MISSING", "number"),
        (po("PO-1", "1000", until="2026-10-04"), "PURCHASE_ORDER_NOT_VALID", "valid_to"),
        (po("PO-1", "1000", since="2026-10-06"), "PURCHASE_ORDER_NOT_VALID", "valid_to"),
    ],
)
def test_work_without_an_order_of_its_day_waits(working: Firm, load: Load, said: str, reason: str, field: str) -> None:
    load(said)
    work(working, 5)
    assert working.freeze() is None and left_out(working) == [("5", reason, 60, Decimal("180.500"))]
    assert waiting(working) == [(CONTRACT, field, Decimal("180.500"))]
    load(po("PO-2", "1000"))
    working.bill()
    assert under(working) == [("5.1", f"{CONTRACT}#PO-2")] and waiting(working) == [] and breaks(working) == 0


def test_where_an_order_is_not_required_other_days_take_none_and_its_own_still_end_with_it(
    working: Firm, load: Load
) -> None:
    load(po("PO-1", "200", until="2026-10-06", required="false"))
    work(working, 5, 6, 7)
    working.bill()
    assert under(working) == [("5.1", f"{CONTRACT}#PO-1"), ("7.1", None)]
    assert left_out(working) == [("6", "PURCHASE_ORDER_EXCEEDED", 60, Decimal("180.500"))]


def test_an_order_of_a_line_takes_the_work_of_that_line(working: Firm, load: Load, admin_url: str) -> None:
    load(po("PO-L", "200", line="L1"), po("PO-C", "1000", until="2027-01-31"))
    working.log(1)
    working.log(2, date_performed="2026-10-06")
    working.load_time()
    with psycopg.connect(admin_url) as owner:
        owner.execute("update core.time_entry set contract_line = 'L1' where time_entry_id = '2'")
    working.bill()
    assert under(working) == [("1.1", f"{CONTRACT}#PO-C"), ("2.1", f"{CONTRACT}:L1#PO-L")]
    assert lines(working) == [("180.500", "PO-C"), ("180.500", "PO-L")]


def test_an_edit_a_void_and_a_credit_give_back_what_they_took(working: Firm, load: Load) -> None:
    load(po("PO-7", "400"))
    work(working, 5, 6)
    batch = working.approve()
    billing_posting.release(working.store, working.config, working.erp, batch)
    assert balance(working, "PO-7") == 39
    billing_posting.draft(working.store, working.config, working.erp, batch)
    working.erp.documents["1"]["state"] = "cancelled"
    billing_posting.read_back(working.store, working.config, working.erp, batch)
    assert balance(working, "PO-7") == 400
    working.store.run("update billing.batch set state = 'failed' where batch_id = %(b)s", b=batch)
    working.bill()
    working.log(5, 50, date_performed="2026-10-05", updated_at=LATER)
    working.log(7, 20, date_performed="2026-10-07", updated_at=LATER)
    working.log(8, 60, date_performed="2026-10-08", updated_at=LATER)
    working.load_time()
    working.bill()
    assert balance(working, "PO-7") == Decimal("8.91") and [row[0] for row in left_out(working)] == ["8"]
    assert {number for _, number in lines(working)} == {"PO-7"}  # what is taken back too
    adjust(working, "credit", "6", 30)
    working.bill()
    accepted = working.store.row("select amount, order_id from billing.live_charge where entry_key = '6'")
    assert accepted == {"amount": Decimal("90.250"), "order_id": f"{CONTRACT}#PO-7"}
    working.bill()
    assert balance(working, "PO-7") == Decimal("8.91") and breaks(working) == 0


def test_what_a_cap_cuts_off_is_no_matter_of_the_order(working: Firm, load: Load) -> None:
    cap(working, "270.75")
    load(po("PO-7", "200"))
    work(working, 5, 6)
    working.bill()
    assert left_out(working) == [
        ("6", "PURCHASE_ORDER_EXCEEDED", 30, Decimal("90.250")), ("6", "over_cap", 30, Decimal("90.250")),
    ]  # fmt: skip
    assert breaks(working) == 0 and earned(working) == {"2026-10": Decimal("270.75")}
    load(po("PO-7", "500"))
    working.bill()
    say(working, "update billing.cap set limit_amount = 1000 where cap_id = 'CAP'")
    load(po("PO-6", "1000"))
    working.bill()
    assert under(working)[-1] == ("6.1/2", f"{CONTRACT}#PO-7")  # the rest of an hour stays with its order
    assert breaks(working) == 0 and left_out(working) == []


def test_what_was_approved_under_an_order_is_not_posted_when_the_order_changed(
    working: Firm, load: Load, admin_url: str
) -> None:
    load(po("PO-7", "400"))
    work(working, 5)
    batch = working.approve()
    load(po("PO-6", "400"))
    with psycopg.connect(admin_url) as owner:
        owner.execute("update billing.batch_line set order_id = replace(order_id, 'PO-7', 'PO-6')")
        changed = owner.execute("select content_hash <> billing.content_hash(batch_id) from billing.batch").fetchone()
        owner.rollback()
    assert changed == (True,)
    with pytest.raises(GateFailed, match="is stale: 1 lines changed"):
        billing_posting.release(working.store, working.config, working.erp, batch)


def test_postgres_refuses_a_charge_beyond_the_order(working: Firm, load: Load, admin_url: str) -> None:
    load(po("PO-7", "400"))
    work(working, 5, 6)
    batch = working.approve()
    with psycopg.connect(admin_url) as owner:
        owner.execute(_TAKES_ALL)
        owner.execute("update billing.cap set limit_amount = 300")
    with pytest.raises(GateFailed, match=f"more than is left of purchase order {CONTRACT}#PO-7"):
        billing_posting.release(working.store, working.config, working.erp, batch)


def test_orders_are_shown_with_what_is_left_and_a_wrong_one_is_told(working: Firm, load: Load) -> None:
    assert load(po("PO-7", "400"), "required: true, line: L1") == []
    work(working, 5)
    working.bill()
    shown = terms_words.words(working.store, "P-1001", dt.date(2026, 10, 31))
    used = "180.500 invoiced, 0 in an open batch, 219.500 left"
    assert f"purchase order PO-7: 400.000 USD from 2026-10-01 to 2026-12-31: {used}" in shown
    assert "work of line L1 waits until there is a purchase order" in shown
    wrong = load("number: PO-8, amount: 5", "required: false", po("PO-9", "5", since="2027-01-01"), po("PO-9", "-1"))
    assert [each.partition(": ")[2].partition(";")[0] for each in wrong] == [
        "P-1001.purchase_orders.0: number, amount, valid_from: an order has all three",
        "P-1001.purchase_orders.1: number: give one, or say that one is required",
        "P-1001.purchase_orders.2: valid_to: is before valid_from",
        "P-1001.purchase_orders.3.amount: Input should be greater than 0",
    ]


def test_another_systems_bill_of_what_waits_for_an_order_differs_by_it(working: Firm, load: Load) -> None:
    load("required: true")
    work(working, 5)
    working.freeze()
    with working.store.transaction("test"):
        stage_difference(working.store, working.config.legal_entity(ENTITY), dt.date(2026, 10, 31))
        shadow.stage(working.store, [CONTRACT], dt.date(2026, 10, 31))
        row = working.store.row("select amount, reason from shadow_should")
    assert row == {"amount": Decimal(0), "reason": "PURCHASE_ORDER_MISSING"}


@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_an_order_is_never_overdrawn_and_at_last_all_is_billed(
    working: Firm, load: Load, seed: int
) -> None:
    chance, minutes = random.Random(seed), dict[int, int]()
    for round_number in range(1, 7):
        _happen(working, load, chance, minutes, f"2026-11-{round_number:02d}T00:00:00Z")
        if working.freeze():
            working.bill()
        assert working.store.value("select min(balance) from finance.purchase_order") >= 0
        assert breaks(working) == 0
    load(po("PO-Z", "100000"))
    minutes[15] = 6000  # so much that no correction makes the invoice a credit, which would wait
    working.log(15, minutes[15], date_performed="2026-10-15", updated_at="2026-11-07T00:00:00Z")
    working.load_time()
    working.bill()
    assert left_out(working) == [] and working.exceptions("billing") == []
    billed = working.store.value("select sum(amount) from billing.live_charge")
    assert billed == sum(RATE * each / 60 for each in minutes.values())
    assert working.store.value("select sum(invoiced) from finance.purchase_order") == billed


def _happen(firm: Firm, load: Load, chance: random.Random, minutes: dict[int, int], at: str) -> None:
    """Four hours are logged or corrected, and an order comes or is raised."""
    for day in chance.sample(range(1, 15), 4):
        minutes[day] = chance.choice([60, 120, 240])
        firm.log(day, minutes[day], date_performed=f"2026-10-{day:02d}", updated_at=at)
    firm.load_time()
    number = chance.randrange(3)
    amount = 300 + 300 * number + len(minutes) * 40
    load(po(f"PO-{number}", str(amount), since=f"2026-10-{1 + 3 * number:02d}", until=f"2026-10-{8 + 4 * number:02d}"))


@pytest.mark.parametrize("seed", range(2))
def test_hours_find_the_orders_that_plain_loops_find(working: Firm, load: Load, seed: int) -> None:
    chance = random.Random(seed)
    orders = [
        (chance.randrange(8, 20), f"PO-{n}", chance.randrange(1, 12), Decimal(chance.randrange(100, 1500)))
        for n in range(6)
    ]
    load(*(po(n, str(amount), f"2026-10-{since:02d}", f"2026-10-{until:02d}") for until, n, since, amount in orders))
    minutes = {day: chance.choice([30, 60, 120, 240]) for day in range(1, 16)}
    for day, each in minutes.items():
        working.log(day, each, date_performed=f"2026-10-{day:02d}")
    working.load_time()
    working.bill()
    left, expected = {number: amount for _, number, _, amount in orders}, dict[str, str]()
    for day, each in minutes.items():
        for until, number, since, _ in sorted(orders):
            if since <= day <= until and RATE * each / 60 <= left[number]:
                left[number] -= RATE * each / 60
                expected[f"{day}.1"] = f"{CONTRACT}#{number}"
                break
    assert dict(under(working)) == expected and len(expected) < len(minutes)
