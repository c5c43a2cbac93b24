"""What an hour costs: one rate card a currency, dearer from the middle of a year and again from that of a month."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from random import Random

from psflow.sandbox.meridian.people import ROLES

CARD = "Standard"
UNPRICED = "Architect"  # a role of the PSA that no card has a price for
VERSIONS = (dt.date(2025, 1, 1), dt.date(2026, 7, 1), dt.date(2026, 10, 16))
CURRENCIES = ("USD", "EUR", "GBP")

_BASE = {"Partner": 320, "Engagement Manager": 245, "Consultant": 180, "Analyst": 120, "Engineer": 150}
_LEVEL = {"USD": Decimal(1), "EUR": Decimal("0.9"), "GBP": Decimal("0.79")}
_RISE = (Decimal(1), Decimal("1.04"), Decimal("1.07"))
_QUARTER = Decimal("0.25")

Prices = dict[tuple[str, str, dt.date], Decimal]  # (currency, role, first day) -> an hour


def prices(random: Random) -> Prices:
    """Return every price, to the quarter of a unit; each version is dearer than the one before."""
    base = {role: _BASE[role] + random.randrange(12) for role in ROLES}
    return {
        (currency, role, day): round(base[role] * level * rise / _QUARTER) * _QUARTER
        for currency, level in _LEVEL.items()
        for role in ROLES
        for day, rise in zip(VERSIONS, _RISE, strict=True)
    }


def hourly(known: Prices, currency: str, role: str, day: dt.date) -> Decimal | None:
    """Return the price of an hour on a day, None when the card has none."""
    version = max(each for each in VERSIONS if each <= day)
    return known.get((currency, role, version))
