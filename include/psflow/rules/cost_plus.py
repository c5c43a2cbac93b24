"""
Cost plus: allowable cost with its pools and a fee; provisional first, a true-up to actual rates, a ceiling. Pure.

Each month bills what all costs so far come to, less the months before, so that nothing is lost by rounding twice.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal

from psflow.contracts import Period
from psflow.contracts.terms import BillableItem, CostPlusTerms
from psflow.rules.split import round_money

Costs = Mapping[str, Decimal]  # kind of cost -> money in the contract's currency


def burdened(terms: CostPlusTerms, costs: Costs, *, is_actual: bool) -> Decimal:
    """
    Return allowable costs with every pool on top, unrounded; a pool may rest on kinds of cost and on pools before it.

    Raises ValueError when actual rates are asked for and a pool has none yet.
    """
    known = dict(costs)
    for pool in terms.pools:
        pct = pool.actual_pct if is_actual else pool.provisional_pct
        if pct is None:
            raise ValueError(f"pool {pool.name} has no actual rate yet")
        known[pool.name] = sum((known.get(name, Decimal()) for name in pool.base), Decimal()) * pct / 100
    return sum(known.values(), Decimal())


def billed_to_date(terms: CostPlusTerms, currency: str, costs: Costs, months: int, *, is_actual: bool) -> Decimal:
    """Return what all costs so far come to, with fee and up to the ceiling; a fixed fee counts by `months`."""
    cost = burdened(terms, costs, is_actual=is_actual)
    if terms.fixed_fee is None:
        total = cost * (1 + (terms.fee_pct or Decimal()) / 100)
    else:
        total = cost + terms.fixed_fee * min(months, terms.fee_months) / terms.fee_months
    return round_money(total if terms.ceiling is None else min(total, terms.ceiling), currency)


def items(terms: CostPlusTerms, currency: str, costs: Mapping[str, Costs], until: dt.date) -> list[BillableItem]:
    """Return each month at provisional rates and, once every pool has its actual one, the true-up; costs by YYYY-MM."""
    found, so_far, billed = list[BillableItem](), dict[str, Decimal](), Decimal()
    names = [name for name in sorted(costs) if Period(name=name).start <= until]
    for number, name in enumerate(names, 1):
        for kind, cost in costs[name].items():
            so_far[kind] = so_far.get(kind, Decimal()) + cost
        total = billed_to_date(terms, currency, so_far, number, is_actual=False)
        day = min(Period(name=name).end, until)
        found.append(_item(name, f"Cost and fee {name}", day, total - billed, currency))
        billed = total
    if names and all(pool.actual_pct is not None for pool in terms.pools):
        actual = billed_to_date(terms, currency, so_far, len(names), is_actual=True)
        found.append(_item("true-up", "True-up to actual rates", found[-1].worked_on, actual - billed, currency))
    return [item for item in found if item.amount]


def _item(part: str, label: str, worked_on: dt.date, amount: Decimal, currency: str) -> BillableItem:
    return BillableItem(part=part, label=label, worked_on=worked_on, amount=amount, currency=currency)
