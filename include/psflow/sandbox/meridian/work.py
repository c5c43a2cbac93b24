"""Eighteen months of hours and two months of expenses: who worked when on what, never beyond the day's capacity."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from psflow.sandbox.meridian.deals import BILLING_START, REGIONS, Deal
from psflow.sandbox.meridian.people import FIRST_DAY, LAST_DAY, Person, days

_CATEGORIES = ("Travel", "Lodging", "Meals", "Software")
_STILL_OPEN = dt.date(2026, 10, 26)  # from here on some hours wait for their approval


@dataclass(frozen=True, slots=True)
class Entry:
    """One planned time entry; `deal` None is internal work. `is_held` says that the gate must keep it back, and why."""

    number: int
    deal: str | None
    person: int
    role: str | None
    worked_on: dt.date
    minutes: int
    is_billable: bool = True
    is_approved: bool = True
    is_held: str | None = None
    logged_at: str | None = None  # None: on the evening of the day


@dataclass(frozen=True, slots=True)
class Expense:
    """One planned expense in the deal's currency, billed at cost when it is billable, approved and has its receipt."""

    number: int
    deal: str
    person: int
    spent_on: dt.date
    category: str
    amount: Decimal
    is_billable: bool = True
    is_approved: bool = True
    has_receipt: bool = True


def entries(random: Random, everybody: Sequence[Person], deals: Sequence[Deal]) -> list[Entry]:
    """Return what was logged, by day and person, numbered from 1."""
    at_work = [person for person in everybody if person.role and person.in_psa]
    logged = list[tuple[dt.date, int, str | None, str | None, int, bool, bool]]()
    for month in _months():
        on = _assigned(random, month, at_work, deals)
        for day in days(month, min(_last(month), LAST_DAY)):
            for person in at_work:
                logged += _day(random, day, person, on.get(person.number, []))
    return [
        Entry(number, deal, person, role, day, minutes, billable, approved)
        for number, (day, person, deal, role, minutes, billable, approved) in enumerate(logged, start=1)
    ]


def expenses(random: Random, everybody: Sequence[Person], logged: Sequence[Entry]) -> list[Expense]:
    """Return one or two expenses of some projects in each month that we bill, of people who worked there."""
    found = list[Expense]()
    by_month: dict[tuple[int, str], list[Entry]] = {}
    for entry in logged:
        if entry.deal and entry.worked_on >= BILLING_START:
            by_month.setdefault((entry.worked_on.month, entry.deal), []).append(entry)
    for _, there in sorted(by_month.items()):
        for entry in random.sample(there, random.choice((0, 1, 2)) if len(there) > 1 else 0):
            amount = Decimal(random.randrange(1500, 90000)).scaleb(-2)
            found.append(
                Expense(
                    len(found) + 1,
                    str(entry.deal),
                    entry.person,
                    entry.worked_on,
                    random.choice(_CATEGORIES),
                    amount,
                    is_billable=random.random() < 0.85,
                    is_approved=random.random() < 0.9,
                )
            )
    return found


def _months() -> Iterator[dt.date]:
    day = FIRST_DAY
    while day <= LAST_DAY:
        yield day
        day = _last(day) + dt.timedelta(days=1)


def _last(month: dt.date) -> dt.date:
    return (month.replace(day=28) + dt.timedelta(days=4)).replace(day=1) - dt.timedelta(days=1)


def _assigned(random: Random, month: dt.date, people: Sequence[Person], deals: Sequence[Deal]) -> dict[int, list[Deal]]:
    """Return person -> the deals of a month, the main one first: each running deal of a region has somebody."""
    found: dict[int, list[Deal]] = {}
    for region in REGIONS:
        running = [
            deal for deal in deals
            if deal.region == region and deal.worked_to and deal.starts <= _last(month) and month <= deal.worked_to
        ]  # fmt: skip
        here = [person for person in people if person.region == REGIONS[region]]
        random.shuffle(here)
        for at, person in enumerate(here if running else []):
            second = [random.choice(running)] if random.random() < 0.4 else []
            found[person.number] = [running[at % len(running)], *second]
    return found


def _day(
    random: Random, day: dt.date, person: Person, on: Sequence[Deal]
) -> Iterator[tuple[dt.date, int, str | None, str | None, int, bool, bool]]:
    minutes = person.capacity(day) * 60
    if not minutes:
        return
    minutes -= random.choice((0, 0, 0, 10, 15, 40))
    running = [deal for deal in on if deal.worked_to and deal.starts <= day <= deal.worked_to]
    if not running or random.random() < 0.3:
        inside = minutes if not running else random.choice((30, 60, 100))
        yield day, person.number, None, person.role, inside, False, True
        minutes -= inside
    shares = [minutes] if len(running) < 2 else [minutes * 2 // 3 // 5 * 5, minutes - minutes * 2 // 3 // 5 * 5]
    for deal, share in zip(running, shares, strict=False):
        approved = day < _STILL_OPEN or random.random() < 0.95
        yield day, person.number, deal.number, person.role, share, random.random() < 0.96, approved
