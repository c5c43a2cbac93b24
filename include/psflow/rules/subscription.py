"""A subscription: a monthly fee, prorated by days, both ends included. An amendment is a part of its own. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal

from psflow.contracts import Period
from psflow.contracts.terms import BillableItem, SubscriptionTerms
from psflow.rules.split import round_money


def items(terms: SubscriptionTerms, currency: str, until: dt.date) -> list[BillableItem]:
    """
    Return the fee of each month, or of each stretch of it at one fee, that began up to a day.

    The stretches of one month are rounded together: at one fee they add up to it.
    """
    found = list[BillableItem]()
    for period in _periods(terms, until):
        days, so_far, billed = Decimal(period.end.day), Decimal(), Decimal()
        for fee, first, last in _stretches(terms, period):
            so_far += fee * (last - first).days + fee
            part = round_money(so_far / days, currency) - billed
            billed += part
            label = f"{terms.title}, {first} to {last}"
            if first <= until and part:
                found.append(
                    BillableItem(part=f"{first}", label=label, worked_on=first, amount=part, currency=currency)
                )
    return found


def _stretches(terms: SubscriptionTerms, period: Period) -> Iterator[tuple[Decimal, dt.date, dt.date]]:
    """Yield fee, first and last day of each stretch of a month."""
    fees = sorted(terms.fees, key=lambda fee: fee.valid_from)
    ends = [fee.valid_from - dt.timedelta(days=1) for fee in fees[1:]] + [terms.ends_on or dt.date.max]
    for fee, ends_on in zip(fees, ends, strict=True):
        first = max(fee.valid_from, period.start)
        last = min(ends_on, terms.ends_on or ends_on, period.end)
        if first <= last:
            yield fee.monthly_fee, first, last


def _periods(terms: SubscriptionTerms, until: dt.date) -> Iterator[Period]:
    day = min(fee.valid_from for fee in terms.fees).replace(day=1)
    while day <= min(until, terms.ends_on or until):
        period = Period(name=f"{day:%Y-%m}")
        yield period
        day = period.end + dt.timedelta(days=1)


def _item(label: str, first: dt.date, amount: Decimal, currency: str) -> BillableItem:
    return BillableItem(part=f"{first}", label=label, worked_on=first, amount=amount, currency=currency)
