"""
What two companies should owe each other, in plain Python: loops over a few objects, no SQL, apart from the engine.

An amount is minutes x price / 60 as a fraction, rounded once to the cent, half away from zero.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

Day = dt.date
Row = tuple[
    str, str, str, str, Day, int, Decimal, Day
]  # id, side, whose books, partner, worked, minutes, amount, counts


def cents(exact: Fraction) -> Decimal:
    whole, rest = divmod(abs(exact) * 100, 1)
    units = int(whole) + (rest >= Fraction(1, 2))
    return Decimal(units if exact >= 0 else -units).scaleb(-2)


@dataclass
class Hour:
    """An hour as it is now."""

    borrower: str
    person: str
    role: str
    on: Day
    minutes: int
    approved: bool = True
    version: int = 1


@dataclass
class Lent:
    """One transfer: the pair and facts it was made for, and the price of its hour in fractions of a cent."""

    id: str
    lender: str
    hour: Hour
    price: Fraction
    is_live: bool = True

    def of(self) -> tuple[str, str, str, str, Day]:
        return self.lender, self.hour.borrower, self.hour.person, self.hour.role, self.hour.on


@dataclass
class Group:
    """Companies, who employs whom from when on, prices, months that are closed, hours, and what is written."""

    employers: dict[str, dict[Day, str | None]] = field(default_factory=dict)
    prices: dict[tuple[str, str], dict[str, Fraction]] = field(default_factory=dict)  # pair -> role -> price
    closed: set[tuple[str, str]] = field(default_factory=set)
    hours: dict[str, Hour] = field(default_factory=dict)
    lent: dict[str, list[Lent]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    waiting: set[str] = field(default_factory=set)

    def lender(self, hour: Hour) -> str | None:
        said = self.employers.get(hour.person, {})
        before = [day for day in said if day <= hour.on]
        return said[max(before)] if before else None

    def run(self) -> None:
        self.waiting = set()
        for key, hour in self.hours.items():
            self._one(key, hour)

    def _one(self, key: str, hour: Hour) -> None:
        live = next((each for each in self.lent.get(key, []) if each.is_live), None)
        lender = self.lender(hour)
        if not hour.approved or lender == hour.borrower:
            if live:
                self._write(live, -1)
            return
        if lender is None:
            self.waiting.add(key)
            return
        same = live and live.of() == (lender, hour.borrower, hour.person, hour.role, hour.on)
        if live and same and live.hour.minutes == hour.minutes:
            return
        price = live.price if live and same else self.prices.get((lender, hour.borrower), {}).get(hour.role)
        if price is None:
            self.waiting.add(key)
            return
        if live:
            self._write(live, -1)
        before = sum(each.hour.version == hour.version for each in self.lent.get(key, []))
        name = f"{key}.{hour.version}" + (f"~{before + 1}" if before else "")
        made = Lent(name, lender, Hour(**vars(hour)), price)
        self.lent.setdefault(key, []).append(made)
        self._write(made, 1)

    def _write(self, lent: Lent, sign: int) -> None:
        lent.is_live = sign > 0
        hour, pair = lent.hour, (lent.lender, lent.hour.borrower)
        amount = cents(hour.minutes * lent.price / 60) * sign
        name = lent.id if sign > 0 else f"{lent.id}.R"
        for side, whose, partner in (("due_from", *pair), ("due_to", *reversed(pair))):
            counts = self._counts(hour.on, pair)
            self.rows.append((name, side, whose, partner, hour.on, hour.minutes * sign, amount, counts))

    def _counts(self, on: Day, pair: tuple[str, str]) -> Day:
        while any((entity, month) for entity, month in self.closed if entity in pair and month >= f"{on:%Y-%m}"):
            on = (on.replace(day=28) + dt.timedelta(4)).replace(day=1)
        return on
