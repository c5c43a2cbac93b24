"""What a contract bills adds up, whatever its terms: nothing lost by rounding, nothing billed before it is due."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from psflow.contracts import Period
from psflow.contracts.terms import (
    CostPlusTerms,
    FeeFrom,
    FeeLine,
    FixedFeeTerms,
    MilestoneLine,
    MilestoneTerms,
    Pool,
    RetainerTerms,
    SubscriptionTerms,
)
from psflow.rules import cost_plus, fixed_fee, milestone, retainer, subscription
from psflow.rules.milestone import Acceptance
from psflow.rules.split import round_money, shares

MONEY = st.decimals("0.01", "1000000", places=2)
WEIGHTS = st.lists(st.decimals("0.01", "100", places=2), min_size=1, max_size=8)
CURRENCY = st.sampled_from(("USD", "JPY", "KWD"))
FAR = dt.date(2030, 12, 31)
ONE = Decimal(1)


# sharing


@given(total=MONEY, weights=WEIGHTS, currency=CURRENCY, data=st.data())
def test_shares_add_up_to_the_total_and_only_the_named_payer_takes_the_residue(
    total: Decimal, weights: list[Decimal], currency: str, data: st.DataObject
) -> None:
    payer = data.draw(st.integers(0, len(weights) - 1))
    parts = shares(total, weights, currency, payer)
    assert sum(parts) == round_money(total, currency)
    for number, (part, weight) in enumerate(zip(parts, weights, strict=True)):
        if number != payer:
            assert part == round_money(total * weight / sum(weights), currency)
    assert shares(-total, weights, currency, payer) == [-part for part in parts]


@pytest.mark.parametrize(("currency", "rounded"), [("JPY", "13"), ("USD", "12.50"), ("KWD", "12.500")])
def test_money_is_rounded_to_the_minor_unit_of_its_currency(currency: str, rounded: str) -> None:
    assert str(round_money(Decimal("12.5"), currency)) == rounded


def test_nothing_can_be_shared_by_no_weight() -> None:
    with pytest.raises(ValueError, match="add up to 0"):
        shares(ONE, [Decimal(0)], "USD")


# milestones and fixed fees


def signed(price: Decimal, weights: list[Decimal]) -> MilestoneTerms:
    lines = tuple(MilestoneLine(milestone_id=str(n), title=f"M{n}", share=w) for n, w in enumerate(weights))
    return MilestoneTerms(price=price, lines=lines)


def accepted(number: int, **other: str) -> Acceptance:
    said = {"accepted_by": "customer", "delivered_by": "our PM", "evidence": "protocol"} | other
    return Acceptance(str(number), dt.date(2026, 5, 1), **said)


@given(price=MONEY, weights=WEIGHTS, currency=CURRENCY, data=st.data())
def test_milestones_are_billed_whole_once_accepted_and_all_of_them_are_the_price(
    price: Decimal, weights: list[Decimal], currency: str, data: st.DataObject
) -> None:
    terms = signed(price, weights)
    assert sum(milestone.amounts(terms, currency).values()) == round_money(price, currency)
    done = data.draw(st.sets(st.integers(0, len(weights) - 1)))
    made = milestone.items(terms, currency, [accepted(n) for n in done], FAR)
    assert {item.part for item in made} == {str(n) for n in done}
    assert all(item.amount == milestone.amounts(terms, currency)[item.part] for item in made)
    assert milestone.items(terms, currency, [accepted(n) for n in done], dt.date(2026, 4, 30)) == []


@pytest.mark.parametrize("said", [{"evidence": " "}, {"accepted_by": "our PM"}])
def test_an_acceptance_without_evidence_or_by_who_delivered_bills_nothing(said: dict[str, str]) -> None:
    terms = signed(Decimal(100), [ONE])
    assert milestone.items(terms, "USD", [accepted(0, **said)], FAR) == []


@given(price=MONEY, weights=WEIGHTS, currency=CURRENCY)
def test_instalments_come_on_their_days_and_add_up_to_the_fee(
    price: Decimal, weights: list[Decimal], currency: str
) -> None:
    first = dt.date(2026, 1, 1)
    lines = tuple(FeeLine(due_on=first + dt.timedelta(30 * n), share=w) for n, w in enumerate(weights))
    terms = FixedFeeTerms(title="Audit", price=price, lines=lines)
    assert sum(item.amount for item in fixed_fee.items(terms, currency, FAR)) == round_money(price, currency)
    assert len(fixed_fee.items(terms, currency, first)) == 1


# retainers

RETAINERS = st.builds(
    RetainerTerms,
    starts_on=st.just(dt.date(2026, 1, 1)), ends_on=st.just(dt.date(2026, 8, 31)),
    fee=MONEY, included_hours=st.decimals("1", "200", places=1), overage_rate=MONEY,
    rollover_months=st.integers(0, 3),
    rollover_cap_hours=st.none() | st.decimals("0", "80", places=1), order=st.sampled_from(("fifo", "lifo")),
)  # fmt: skip
USED = st.lists(st.decimals("0", "300", places=2), min_size=8, max_size=8)


def months(terms: RetainerTerms, used: list[Decimal]) -> list[retainer.RetainerMonth]:
    by_month = {f"2026-{number:02d}": hours for number, hours in enumerate(used, 1)}
    return retainer.months(terms, "USD", by_month, dt.date(2026, 8, 31))


@given(terms=RETAINERS, used=USED)
def test_no_hour_of_a_retainer_is_used_twice_or_lost(terms: RetainerTerms, used: list[Decimal]) -> None:
    before = Decimal()
    for month in months(terms, used):
        left = before + terms.included_hours - (month.used_hours - month.overage_hours)
        assert left == month.carried_hours + month.expired_hours and min(left, month.expired_hours) >= 0
        assert month.overage_hours == max(month.used_hours - before - terms.included_hours, Decimal())
        assert terms.rollover_cap_hours is None or month.carried_hours <= terms.rollover_cap_hours
        assert terms.rollover_months or not month.carried_hours
        before = month.carried_hours


@given(terms=RETAINERS, used=USED)
def test_what_a_retainer_billed_is_earned_or_still_deferred(terms: RetainerTerms, used: list[Decimal]) -> None:
    made = months(terms, used)
    assert sum(m.billed for m in made) == sum(m.revenue for m in made) + made[-1].deferred
    assert all(m.deferred >= 0 and m.breakage >= 0 for m in made)
    items = retainer.items(terms, "USD", {m.period.name: m.used_hours for m in made}, dt.date(2026, 8, 31))
    assert sum(item.amount for item in items) == sum(m.billed for m in made)


def test_the_fee_is_billed_at_the_start_of_the_month_and_its_overage_once_it_is_over() -> None:
    terms = RetainerTerms(starts_on=dt.date(2026, 1, 1), fee=1000, included_hours=10, overage_rate=50)
    used = {"2026-01": Decimal(12)}
    assert [i.part for i in retainer.items(terms, "USD", used, dt.date(2026, 1, 30))] == ["2026-01.fee"]
    parts = [(i.part, i.amount) for i in retainer.items(terms, "USD", used, dt.date(2026, 1, 31))]
    assert parts == [("2026-01.fee", 1000), ("2026-01.overage", 100)]


def test_hours_roll_over_for_as_many_months_as_agreed() -> None:
    terms = RetainerTerms(
        starts_on=dt.date(2026, 1, 1), fee=1000, included_hours=10, overage_rate=50, rollover_months=2
    )
    used = [Decimal(0), Decimal(10), Decimal(25)] + [Decimal(10)] * 5
    assert [m.carried_hours for m in months(terms, used)][:3] == [10, 10, 0]
    assert [m.overage_hours for m in months(terms, used)][:3] == [0, 0, 5]


# subscriptions


@given(fee=MONEY, currency=CURRENCY, first=st.dates(dt.date(2026, 1, 1), dt.date(2026, 12, 31)))
def test_whole_months_cost_the_fee_and_parts_their_days(fee: Decimal, currency: str, first: dt.date) -> None:
    terms = SubscriptionTerms(title="Run", fees=(FeeFrom(valid_from=first, monthly_fee=fee),), ends_on=FAR)
    made = subscription.items(terms, currency, FAR)
    end = Period(name=f"{first:%Y-%m}").end
    part = round_money(fee * ((end - first).days + 1) / end.day, currency)
    by_day = {item.worked_on: item.amount for item in made}
    assert by_day.get(first, Decimal()) == part
    assert {amount for day, amount in by_day.items() if day != first} <= {round_money(fee, currency)}


@given(fee=MONEY, currency=CURRENCY, days=st.sets(st.integers(2, 30), max_size=6))
def test_a_month_cut_into_parts_at_one_fee_costs_that_fee(fee: Decimal, currency: str, days: set[int]) -> None:
    starts = [dt.date(2026, 3, day) for day in sorted({1} | days)]
    terms = SubscriptionTerms(title="Run", fees=tuple(FeeFrom(valid_from=day, monthly_fee=fee) for day in starts))
    made = subscription.items(terms, currency, dt.date(2026, 3, 31))
    assert sum(item.amount for item in made) == round_money(fee, currency)


def test_an_amendment_in_a_month_is_a_part_of_its_own() -> None:
    fees = (
        FeeFrom(valid_from=dt.date(2026, 4, 1), monthly_fee=3000),
        FeeFrom(valid_from=dt.date(2026, 4, 16), monthly_fee=6000),
    )
    terms = SubscriptionTerms(title="Run", fees=fees, ends_on=dt.date(2026, 5, 10))
    parts = [(f"{i.worked_on}", i.amount) for i in subscription.items(terms, "USD", FAR)]
    assert parts == [("2026-04-01", 1500), ("2026-04-16", 3000), ("2026-05-01", Decimal("1935.48"))]


# cost plus

COSTS = st.lists(
    st.fixed_dictionaries({"labour": MONEY, "expenses": MONEY}), min_size=1, max_size=6
)  # fmt: skip


def pools(provisional: str = "30", actual: str | None = None) -> tuple[Pool, ...]:
    return (
        Pool(name="fringe", base=("labour",), provisional_pct=provisional, actual_pct=actual),
        Pool(name="overhead", base=("labour", "fringe"), provisional_pct=50, actual_pct=actual and "50"),
        Pool(
            name="g&a",
            base=("labour", "expenses", "fringe", "overhead"),
            provisional_pct=10,
            actual_pct=actual and "10",
        ),
    )


def by_month(costs: list[dict[str, Decimal]]) -> dict[str, dict[str, Decimal]]:
    return {f"2026-{number:02d}": cost for number, cost in enumerate(costs, 1)}


@given(costs=COSTS, actual=st.none() | st.integers(0, 60), ceiling=st.none() | MONEY, currency=CURRENCY)
def test_all_months_and_the_true_up_are_the_burdened_cost_with_its_fee_up_to_the_ceiling(
    costs: list[dict[str, Decimal]], actual: int | None, ceiling: Decimal | None, currency: str
) -> None:
    terms = CostPlusTerms(pools=pools("30", None if actual is None else str(actual)), fee_pct=8, ceiling=ceiling)
    labour, spent = sum(c["labour"] for c in costs), sum(c["expenses"] for c in costs)
    fringe = labour * Decimal(30 if actual is None else actual) / 100
    total = (labour + fringe + (labour + fringe) / 2 + spent) * Decimal("1.10") * Decimal("1.08")
    due = round_money(total if ceiling is None else min(total, ceiling), currency)
    assert sum(item.amount for item in cost_plus.items(terms, currency, by_month(costs), FAR)) == due


def test_a_percentage_fee_moves_with_cost_and_a_fixed_one_does_not() -> None:
    costs = by_month([{"labour": Decimal(1000)}, {"labour": Decimal(2000)}])
    moving = cost_plus.items(CostPlusTerms(fee_pct=10), "USD", costs, FAR)
    fixed = cost_plus.items(CostPlusTerms(fixed_fee=600, fee_months=3), "USD", costs, FAR)
    assert [i.amount for i in moving[:2]] == [1100, 2200] and [i.amount for i in fixed[:2]] == [1200, 2200]


def test_cost_plus_has_one_kind_of_fee() -> None:
    with pytest.raises(ValidationError, match="give one of the two"):
        CostPlusTerms(fee_pct=8, fixed_fee=100)


def test_months_follow_each_other() -> None:
    terms = RetainerTerms(starts_on=dt.date(2026, 1, 15), fee=1, included_hours=1, overage_rate=1)
    made = retainer.months(terms, "USD", {}, dt.date(2026, 12, 1))
    assert all(later.period.start - sooner.period.end == dt.timedelta(1) for sooner, later in pairwise(made))
    assert len(made) == 12
