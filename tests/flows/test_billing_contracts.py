"""What contracts agree on beside a rate card: caps, steps, prices, fees and decisions, down to the tie-out."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from psflow.contracts import Period
from psflow.contracts.terms import (
    CostPlusTerms,
    FeeFrom,
    MilestoneLine,
    MilestoneTerms,
    RetainerTerms,
    SubscriptionTerms,
)
from psflow.errors import GateFailed
from psflow.flows import billing_adjustment, period_controls, reconciliation
from psflow.gates.suite import ExpectationGate
from tests.flows.conftest import ENTITY, Firm

LATER = "2026-11-02T00:00:00Z"
CONTRACT, PROJECT = "E-1001.C1", "P-1001"


@pytest.fixture
def working(firm: Firm) -> Firm:
    """A firm with one active project, at 180.50 an hour."""
    firm.start()
    return firm


def say(firm: Firm, statement: Any, **values: Any) -> None:
    with firm.store.transaction("test"):
        firm.store.run(statement, **values)


def cap(firm: Firm, limit: str, **more: Any) -> None:
    row = {"on_excess": "split", "counts": "fees"} | more
    say(
        firm,
        "insert into billing.cap (cap_id, level, scope_id, limit_amount, currency, on_excess, counts) "
        "values ('CAP', 'contract', %(c)s, %(l)s, 'USD', %(on_excess)s, %(counts)s)",
        c=CONTRACT, l=limit, **row,
    )  # fmt: skip


def agree(firm: Firm, term: str, version: int, terms: Any) -> None:
    say(
        firm,
        "insert into core.contract_term values (%(c)s, %(t)s, %(v)s, %(kind)s, %(terms)s, '2026-10-01', 'signed')",
        c=CONTRACT, t=term, v=version, kind=terms.kind, terms=terms.model_dump_json(),
    )  # fmt: skip


def accept(firm: Firm, milestone: str) -> None:
    say(
        firm,
        "insert into core.acceptance values (%(c)s, %(m)s, '2026-10-20', 'customer', 'our PM', 'protocol')",
        c=CONTRACT, m=milestone,
    )  # fmt: skip


def adjust(firm: Firm, kind: Any, entry: str, minutes: int | None = None, approved_by: str = "P-102") -> Decimal:
    entity = firm.config.legal_entity(ENTITY)
    part = None if minutes is None else Decimal(minutes)
    said = billing_adjustment.Adjustment(kind, entry, part, dt.date(2026, 10, 31), "agreed", "P-201", approved_by)
    return billing_adjustment.adjust(firm.store, entity, said)


def ledger(firm: Firm) -> list[tuple[str, Decimal]]:
    rows = firm.store.rows("select charge_id, amount from billing.charge order by charge_id")
    return [(row["charge_id"], row["amount"]) for row in rows]


def left_out(firm: Firm) -> list[tuple[str, str, int | None, Decimal | None]]:
    rows = firm.store.rows("select * from billing.left_out order by entry_key, reason")
    return [(row["entry_key"], row["reason"], row["minutes"], row["amount"]) for row in rows]


def breaks(firm: Firm) -> int:
    reconciliation.read_erp(firm.store, firm.erp)
    return reconciliation.tie_out(firm.store, firm.config)["breaks"]


def earned(firm: Firm) -> dict[str, Decimal]:
    """Return what finance reads of the work months, once it is seen that it closes and no hour is in no state."""
    rows = firm.store.rows("select * from finance.revenue_monthly order by month")
    assert [row["earned"] for row in rows] == [row["opening"] + row["invoiced"] + row["unbilled"] for row in rows]
    told = {c.control: c for c in period_controls.check(firm.store, firm.config, ENTITY, Period(name="2026-10"))}
    assert told["K2"].broken == ()
    return {row["month"]: row["earned"] for row in rows}


def lines(firm: Firm) -> list[tuple[str, str, str]]:
    document = list(firm.erp.documents.values())[-1]
    hours = [(line["role"], line["hours"], line["amount"]) for line in document["lines"]]
    return hours + [(line["category"], "", line["amount"]) for line in document["expenses"]]


def test_a_cap_splits_the_hour_at_its_limit_and_what_is_over_is_told_and_no_break(
    working: Firm, real_gate: ExpectationGate
) -> None:
    cap(working, "300.00")
    working.log(1, 60, date_performed="2026-10-06")
    working.log(2, 60, date_performed="2026-10-05")
    working.load_time()
    working.post(working.approve(real_gate))
    assert ledger(working) == [("1.1", Decimal("119.500")), ("2.1", Decimal("180.500"))]
    assert left_out(working) == [("1", "over_cap", 21, Decimal("61.000"))]
    assert lines(working) == [("Consultant", "1.6620", "300.000")]
    (told,) = working.exceptions("billing")
    assert (told["entity"], told["record_id"], told["value"]) == ("cap", "CAP", "61.000")
    assert (told["engagement_id"], told["amount_at_risk"], told["currency"]) == ("E-1001", Decimal(61), "USD")
    assert breaks(working) == 0 and working.freeze() is None
    assert earned(working) == {"2026-10": Decimal("300.000")}  # what is over the cap is no revenue, either


def test_a_raised_cap_bills_the_rest_of_the_hour_as_its_second_charge(working: Firm) -> None:
    cap(working, "100.00")
    working.log(1, 60)
    working.load_time()
    working.bill()
    say(working, "update billing.cap set limit_amount = 1000")
    working.bill()
    assert ledger(working) == [("1.1", Decimal("100.000")), ("1.1/2", Decimal("80.500"))]
    minutes = working.store.value("select array_agg(minutes order by seq) from billing.charge")
    assert sum(minutes) == 60 and left_out(working) == []
    assert working.exceptions() == [] and breaks(working) == 0


def test_an_hour_wholly_over_the_cap_waits_and_an_expense_does_not_count_unless_the_cap_says_so(working: Firm) -> None:
    cap(working, "180.50")
    working.log(1, 60, date_performed="2026-10-05")
    working.log(2, 60, date_performed="2026-10-06")
    working.spend(1, 5000)
    working.load_time()
    working.load_expenses()
    working.bill()
    assert ledger(working) == [("1.1", Decimal("180.500")), ("expense:1.1", Decimal("50.000"))]
    assert breaks(working) == 0


def test_an_expense_split_by_a_cap_ties_by_the_part_of_its_cost(working: Firm, real_gate: ExpectationGate) -> None:
    cap(working, "30.00", counts="fees_and_expenses")
    working.spend(1, 5000)
    working.load_expenses()
    working.post(working.approve(real_gate))
    assert breaks(working) == 0
    say(working, "update billing.cap set limit_amount = 100")
    working.post(working.approve(real_gate))
    assert ledger(working) == [("expense:1.1", Decimal("30.000")), ("expense:1.1/2", Decimal("20.000"))]
    assert breaks(working) == 0


def test_a_late_hour_does_not_push_an_invoiced_one_out_of_the_cap(working: Firm) -> None:
    cap(working, "200.00")
    working.log(1, 60, date_performed="2026-10-10")
    working.load_time()
    working.bill()
    working.log(2, 60, date_performed="2026-10-01", updated_at=LATER)
    working.load_time()
    working.bill()
    assert ledger(working) == [("1.1", Decimal("180.500")), ("2.1", Decimal("19.500"))]


def test_an_edit_below_the_cap_lets_the_next_hour_in(working: Firm) -> None:
    cap(working, "361.00")
    for number in (1, 2, 3):
        working.log(number, 60, date_performed=f"2026-10-0{number}")
    working.load_time()
    working.bill()
    working.log(1, 30, date_performed="2026-10-01", updated_at=LATER)
    working.log(4, 600, date_performed="2026-10-09", updated_at=LATER)
    working.load_time()
    say(working, "update billing.cap set limit_amount = 400")
    working.bill()
    found = dict(ledger(working))
    assert found["1.1.R"] == Decimal("-180.500") and found["1.2"] == Decimal("90.250")
    assert found["3.1"] == Decimal("129.250") and "4.1" not in found
    assert sum(found.values()) == Decimal("400") and breaks(working) == 0


def test_two_agreed_prices_of_one_rank_hold_the_hour_and_one_beats_the_card(working: Firm) -> None:
    agreed = (
        "insert into core.agreed_rate (rate_id, level, scope_id, role, valid_from, hourly_rate, currency) "
        "values (%(id)s, 'contract', %(c)s, 'Consultant', '2026-01-01', %(rate)s, 'USD')"
    )
    say(working, agreed, id="A", c=CONTRACT, rate=150)
    say(working, agreed, id="B", c=CONTRACT, rate=160)
    working.log(1)
    working.load_time()
    assert working.freeze() is None and left_out(working) == [("1", "RATE_AMBIGUOUS", 60, None)]
    assert "two USD rates of one rank" in working.exceptions("rate")[0]["message"]
    say(working, "delete from core.agreed_rate where rate_id = 'B'")
    working.bill()
    assert working.exceptions() == []
    row = working.store.row("select hourly_rate, rate_id from billing.charge")
    assert row == {"hourly_rate": Decimal("150.0000"), "rate_id": "A"}


def test_a_customer_pays_in_quarters_of_an_hour_and_the_work_stays_what_it_was(
    working: Firm, real_gate: ExpectationGate
) -> None:
    say(
        working, "insert into core.increment select customer_id, '2026-01-01', 15, 'up', 'entry', 30 from core.customer"
    )
    working.log(1, 7)
    working.log(2, 46)
    working.load_time()
    working.post(working.approve(real_gate))
    rows = working.store.rows("select minutes, billed_minutes from billing.charge order by charge_id")
    assert [tuple(row.values()) for row in rows] == [(7, 30), (46, 60)]
    assert lines(working) == [("Consultant", "1.5000", "270.750")] and breaks(working) == 0
    assert earned(working) == {"2026-10": Decimal("270.750")}
    assert working.store.rows("select * from finance.unbilled_entry") == []
    say(working, "update core.increment set minutes = 60")
    assert working.freeze() is None  # a new rule is not for what was billed


def test_a_milestone_is_billed_whole_beside_hours_and_credited_whole(working: Firm, real_gate: ExpectationGate) -> None:
    lines_agreed = tuple(MilestoneLine(milestone_id=m, title=m, share=1) for m in ("Design", "Build", "Run"))
    terms = MilestoneTerms(price=1000, lines=lines_agreed)
    agree(working, "M", 1, terms)
    accept(working, "Design")
    accept(working, "Run")
    working.log(1)
    working.load_time()
    working.post(working.approve(real_gate))
    assert lines(working) == [
        ("Consultant", "1.0000", "180.500"), ("Milestone: Design", "", "333.330"), ("Milestone: Run", "", "333.340"),
    ]  # fmt: skip
    assert breaks(working) == 0 and working.freeze() is None
    lowered = lines_agreed[0].model_copy(update={"agreed": Decimal(300)})
    agree(working, "M", 2, terms.model_copy(update={"lines": (lowered, *lines_agreed[1:])}))
    accept(working, "Build")
    working.bill()
    assert dict(ledger(working)) | {} == {
        "1.1": Decimal("180.5"), f"item:{CONTRACT}:M:Design.1": Decimal("333.33"),
        f"item:{CONTRACT}:M:Design.1.R": Decimal("-333.33"), f"item:{CONTRACT}:M:Design.2": Decimal(300),
        f"item:{CONTRACT}:M:Run.1": Decimal("333.34"), f"item:{CONTRACT}:M:Build.2": Decimal("333.33"),
    }  # fmt: skip
    assert breaks(working) == 0 and earned(working) == {"2026-10": Decimal("1147.170")}


def test_a_subscription_is_billed_by_its_days_and_never_twice(working: Firm) -> None:
    fee = FeeFrom(valid_from=dt.date(2026, 10, 16), monthly_fee=3100)
    agree(working, "S", 1, SubscriptionTerms(title="Run", fees=(fee,)))
    working.bill()
    assert ledger(working) == [(f"item:{CONTRACT}:S:2026-10-16.1", Decimal("1600.000"))]
    assert working.freeze() is None and breaks(working) == 0


def test_terms_that_cannot_be_read_bill_nothing_and_take_nothing_back(working: Firm) -> None:
    fee = FeeFrom(valid_from=dt.date(2026, 10, 1), monthly_fee=100)
    agree(working, "S", 1, SubscriptionTerms(title="Run", fees=(fee,)))
    agree(working, "T", 1, SubscriptionTerms(title="Care", fees=(fee,)))
    working.bill()
    broken = "insert into core.contract_term values (%(c)s, 'S', 2, 'subscription', '{}', '2026-10-02', 'x')"
    say(working, broken, c=CONTRACT)
    working.bill("2026-11")
    assert [key for key, _ in ledger(working)] == [
        f"item:{CONTRACT}:{part}.1" for part in ("S:2026-10-01", "T:2026-10-01", "T:2026-11-01")
    ]
    (told,) = working.exceptions("rate")
    assert (told["entity"], told["record_id"]) == ("contract_term", f"{CONTRACT}:S")
    agree(working, "S", 3, SubscriptionTerms(title="Run", fees=(fee,)))
    working.bill("2026-11")
    assert len(ledger(working)) == 4 and working.exceptions() == []


@pytest.mark.parametrize("kind", ["retainer", "cost_plus"])
def test_how_hours_are_billed_is_the_type_of_the_contract(working: Firm, kind: str, admin_url: str) -> None:
    with psycopg.connect(admin_url) as owner:
        owner.execute("update core.contract set contract_type = %s", [kind])
    terms: dict[str, Any] = {
        "retainer": RetainerTerms(starts_on=dt.date(2026, 10, 1), fee=1000, included_hours=10, overage_rate=150),
        "cost_plus": CostPlusTerms(fee_pct=10),
    }
    agree(working, "R", 1, terms[kind])
    working.log(1, 720)
    working.load_time()
    if kind == "cost_plus":
        assert working.freeze() is None and working.exceptions("rate")[0]["field"] == "cost"
        say(working, "insert into core.cost_rate values ('7', '2026-01-01', null, 50, 'USD')")
    working.bill()
    due = {"retainer": [Decimal(1000), Decimal(300)], "cost_plus": [Decimal(660)]}
    assert [amount for _, amount in ledger(working)] == due[kind]
    assert working.exceptions() == [] and breaks(working) == 0
    assert earned(working) == {"2026-10": sum(due[kind])}  # the hours are in the fee, and not earned once more


def test_a_decided_credit_is_a_document_below_zero_and_opens_what_it_took_back(
    working: Firm, real_gate: ExpectationGate
) -> None:
    working.log(1, 600)
    working.load_time()
    working.bill()
    assert adjust(working, "credit", "1", 180) == Decimal("541.500")
    working.post(working.approve(real_gate))
    assert working.store.value("select amount from billing.invoice order by invoice_key desc") == Decimal("-541.500")
    assert left_out(working) == [("1", "credited", 180, Decimal("541.500"))] and breaks(working) == 0
    assert adjust(working, "write_off", "1", 60) == Decimal("180.500")
    working.bill()
    assert dict(ledger(working)) == {
        "1.1": Decimal("1805"), "1.1.R": Decimal("-1805"), "1.1/2": Decimal("1263.5"), "1.1/3": Decimal("361"),
    }  # fmt: skip
    assert left_out(working) == [("1", "written_off", 60, Decimal("180.500"))]
    assert working.freeze() is None and breaks(working) == 0
    assert earned(working) == {"2026-10": Decimal("1624.500")}


def test_nobody_decides_alone_or_on_more_than_there_is(working: Firm) -> None:
    working.log(1, 60)
    working.load_time()
    with pytest.raises(GateFailed, match="there is nothing to take"):
        adjust(working, "credit", "1")
    with pytest.raises(GateFailed, match="60.* minutes are there, not more"):
        adjust(working, "write_off", "1", 61)
    with pytest.raises(GateFailed, match="adjustment_check"):
        adjust(working, "write_off", "1", 10, approved_by="P-201")
    assert working.store.value("select count(*) from billing.adjustment") == 0


def close(url: str, period: str) -> None:
    """The books of a month are closed: said by the owner of the database, without the signatures it takes."""
    with psycopg.connect(url) as owner:
        owner.execute("delete from core.period where period = %s", [period])
        owner.execute("insert into core.period values (%s, %s, now())", [ENTITY, period])


def test_work_of_a_closed_month_counts_on_the_first_open_day(working: Firm, admin_url: str) -> None:
    close(admin_url, "2026-09")
    working.log(1, date_performed="2026-09-28")
    working.log(2, date_performed="2026-10-05")
    working.load_time()
    working.bill()
    days = working.store.rows("select worked_on, accounting_on from billing.charge order by charge_id")
    assert [tuple(f"{day:%m-%d}" for day in row.values()) for row in days] == [("09-28", "10-01"), ("10-05", "10-05")]


def test_a_month_closed_between_freeze_and_release_takes_no_work(working: Firm, admin_url: str) -> None:
    working.log(1, date_performed="2026-09-28")
    working.load_time()
    batch = working.approve()
    close(admin_url, "2026-09")
    with pytest.raises(GateFailed, match="period 2026-09 of MER-US is closed"):
        working.post(batch)
    assert ledger(working) == []
