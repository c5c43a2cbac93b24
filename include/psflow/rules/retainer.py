"""
A retainer: a monthly fee with hours in it, drawn down in order, carried over, expired; overage at its own rate. Pure.

An hour of the fee is worth fee / included hours. What is deferred is the worth of the hours that may still be used, so
a month's revenue is what it earned of the fees plus its overage, and in the end all that was billed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from psflow.contracts import Period
from psflow.contracts.terms import BillableItem, RetainerTerms
from psflow.rules.split import round_money

_ZERO = Decimal()


@dataclass(frozen=True, slots=True)
class RetainerMonth:
    """What one month of a retainer comes to: hours, and money in the contract's currency."""

    period: Period
    used_hours: Decimal
    overage_hours: Decimal
    carried_hours: Decimal
    expired_hours: Decimal
    overage: Decimal
    billed: Decimal
    revenue: Decimal
    breakage: Decimal
    deferred: Decimal


def months(terms: RetainerTerms, currency: str, used: Mapping[str, Decimal], until: dt.date) -> list[RetainerMonth]:
    """Return every month from the start to the one of `until`; `used` is hours by month (YYYY-MM), none is 0."""
    made, carried, deferred = list[RetainerMonth](), dict[int, Decimal](), _ZERO
    for number, period in enumerate(_periods(terms, until)):
        hours = used.get(period.name, _ZERO)
        carried[number] = terms.included_hours
        over = _draw(carried, hours, number, terms.order)
        expired = _carry(terms, carried, number)
        made.append(_month(terms, currency, period, hours, over, carried, expired, deferred))
        deferred = made[-1].deferred
    return made


def items(terms: RetainerTerms, currency: str, used: Mapping[str, Decimal], until: dt.date) -> list[BillableItem]:
    """Return fee and overage of each month; the fee on its first day, the overage once the month is over."""
    return [item for month in months(terms, currency, used, until) for item in _items(terms, currency, month, until)]


def _items(terms: RetainerTerms, currency: str, month: RetainerMonth, until: dt.date) -> Iterator[BillableItem]:
    name, starts = month.period.name, max(month.period.start, terms.starts_on)
    if starts <= until:
        fee = month.billed - month.overage
        yield BillableItem(
            part=f"{name}.fee", label=f"Retainer {name}", worked_on=starts, amount=fee, currency=currency
        )
    if month.overage and month.period.end <= until:
        label = f"Retainer {name}, {round(month.overage_hours, 4).normalize():f} h beyond it"
        yield BillableItem(
            part=f"{name}.overage", label=label, worked_on=month.period.end, amount=month.overage, currency=currency
        )


def _draw(carried: dict[int, Decimal], hours: Decimal, now: int, order: str) -> Decimal:
    """Take hours out of the months that have some, oldest first or this month first; return what is left over them."""
    older = [number for number in sorted(carried) if number != now]
    for number in [*older, now] if order == "fifo" else [now, *reversed(older)]:
        taken = min(carried[number], hours)
        carried[number] -= taken
        hours -= taken
    return hours


def _carry(terms: RetainerTerms, carried: dict[int, Decimal], now: int) -> Decimal:
    """Keep the hours that may still be used, the oldest first under the cap; return those that expire."""
    before, room = sum(carried.values(), _ZERO), terms.rollover_cap_hours
    for number in sorted(carried):
        left = carried[number] if now - number < terms.rollover_months else _ZERO
        carried[number] = left if room is None else min(left, room)
        room = None if room is None else room - carried[number]
    for number in [number for number, left in carried.items() if not left]:
        del carried[number]
    return before - sum(carried.values(), _ZERO)


def _month(
    terms: RetainerTerms, currency: str, period: Period, used: Decimal, over: Decimal, carried: Mapping[int, Decimal],
    expired: Decimal, deferred: Decimal,
) -> RetainerMonth:  # fmt: skip
    left = sum(carried.values(), _ZERO)
    fee, overage = round_money(terms.fee, currency), round_money(over * terms.overage_rate, currency)
    still = round_money(left * terms.fee / terms.included_hours, currency)
    lost = round_money((left + expired) * terms.fee / terms.included_hours, currency) - still
    return RetainerMonth(
        period, used, over, left, expired, overage, fee + overage, deferred + fee + overage - still, lost, still
    )


def _periods(terms: RetainerTerms, until: dt.date) -> Sequence[Period]:
    last = min(until, terms.ends_on or until)
    found, day = list[Period](), terms.starts_on.replace(day=1)
    while day <= last:
        found.append(Period(name=f"{day:%Y-%m}"))
        day = found[-1].end + dt.timedelta(days=1)
    return found
