"""Who must take which demand, and what finance must read of revenue, utilization and backlog: by hand from the plan."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache

from psflow.sandbox.meridian.agreed import items, within
from psflow.sandbox.meridian.deals import CAPPED, REGIONS, TWO_GATES, Demand
from psflow.sandbox.meridian.oracle import PERIODS, after, counts, is_by_hours, money, price
from psflow.sandbox.meridian.people import FIRST_DAY, STORY_DAY, Person, days
from psflow.sandbox.meridian.plan import Firm, current


@dataclass(frozen=True, slots=True)
class Staffing:
    """Demand -> person number who takes it; and the demands nobody can take."""

    assigned: Mapping[Demand, int]
    unstaffed: tuple[Demand, ...]


def staffing() -> Staffing:
    """Return who takes what: earliest kickoff first, of those who fit and have time the one with least time left."""
    firm = current()
    free = {
        (person.number, day): person.capacity(day)
        for person in firm.people
        for day in days(STORY_DAY, STORY_DAY + dt.timedelta(days=120))
    }
    assigned, unstaffed = dict[Demand, int](), list[Demand]()
    for demand in sorted((d for d in firm.demands if d.deal != TWO_GATES), key=lambda d: d.starts):
        working = [day for day in days(demand.starts, demand.ends) if day.weekday() < 5]
        able = [
            person.number
            for person in firm.people
            if _fits(firm, person, demand) and all(free[person.number, day] >= demand.hours for day in working)
        ]
        if not able:
            unstaffed.append(demand)
            continue
        taker = min(able, key=lambda number: (sum(free[number, day] for day in working), number))
        assigned[demand] = taker
        for day in working:
            free[taker, day] -= demand.hours
    return Staffing(assigned, tuple(unstaffed))


def _fits(firm: Firm, person: Person, demand: Demand) -> bool:
    return (
        person.ends is None
        and person.in_psa
        and person.role == demand.role
        and set(demand.skills) <= set(person.skills)
        and person.region == REGIONS[firm.deal(demand.deal).region]
    )


def revenue() -> dict[tuple[str, str], Decimal]:
    """Return (deal, YYYY-MM) -> approved billable work at the price of its day, each entry to the cent; and fees."""
    return _revenue(current())


@cache
def _revenue(firm: Firm) -> dict[tuple[str, str], Decimal]:
    found: dict[tuple[str, str], Decimal] = {}
    worth = [
        (entry.number, str(entry.deal), entry.worked_on, money(entry.minutes, rate))
        for entry in after(firm) if is_by_hours(entry) and (rate := price(firm, entry)) is not None
    ]  # fmt: skip
    let = within(firm, ((number, day, amount) for number, deal, day, amount in worth if deal == CAPPED))
    lines = [(deal, day, let.get(number, amount)) for number, deal, day, amount in worth]
    lines += [(deal, day, amount) for (deal, _), (day, amount) in items(firm, PERIODS["2026-10"]).items()]
    for deal, day, amount in lines:
        key = deal, day.strftime("%Y-%m")
        found[key] = found.get(key, Decimal()) + amount
    return found


def utilization() -> dict[tuple[dt.date, int], tuple[Fraction, int | None]]:
    """
    Return (Monday, person) -> (approved billable hours, capacity) of whole weeks, the story day's week the last.

    Capacity is None of whom the planner does not have; a week with neither hours nor capacity is left out.
    """
    firm, hours = current(), dict[tuple[dt.date, int], Fraction]()
    for entry in after(firm):
        if counts(entry):
            key = _monday(entry.worked_on), entry.person
            hours[key] = hours.get(key, Fraction()) + Fraction(entry.minutes, 60)
    found: dict[tuple[dt.date, int], tuple[Fraction, int | None]] = {}
    for monday in list(days(_monday(FIRST_DAY), _monday(STORY_DAY)))[::7]:
        for person in firm.people:
            week = list(days(monday, monday + dt.timedelta(days=6)))
            capacity = sum(map(person.capacity, week)) if person.in_psa else None
            worked = hours.get((monday, person.number), Fraction())
            if worked or capacity or (capacity is None and any(map(person.is_employed, week))):
                found[monday, person.number] = worked, capacity
    return found


def backlog() -> dict[str, Decimal | None]:
    """Return active deal -> what was signed less the revenue of all months; None while hours of it have no price."""
    firm, earned = current(), revenue()
    unknown = {entry.deal for entry in after(firm) if is_by_hours(entry) and price(firm, entry) is None}
    active = [deal.number for deal in firm.deals if deal.is_won and deal.number != TWO_GATES]
    signed = {number: sum((hours * rate for hours, rate in firm.sold[number]), Decimal()) for number in active}
    for (number, _), amount in earned.items():
        signed[number] -= amount
    return {number: None if number in unknown else left for number, left in signed.items()}


def _monday(day: dt.date) -> dt.date:
    return day - dt.timedelta(days=day.weekday())
