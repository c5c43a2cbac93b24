"""
What a US dollar was worth on the first of each month: the firm's books and its oracle read the same table.

It belongs to no seed, so that one ERP dump serves every firm.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

FIRST = dt.date(2025, 5, 1)
_PER_DOLLAR = {  # month by month from FIRST; the last one is that of the story day
    "EUR": (
        "0.8830 0.8795 0.8487 0.8748 0.8571 0.8519 0.8669 0.8603 0.8510 0.8442 0.8485 0.8530 "
        "0.8561 0.8597 0.8633 0.8608 0.8574 0.8549 0.8522"
    ),
    "GBP": (
        "0.7510 0.7425 0.7288 0.7574 0.7407 0.7437 0.7610 0.7553 0.7428 0.7361 0.7402 0.7449 "
        "0.7473 0.7501 0.7538 0.7512 0.7486 0.7465 0.7441"
    ),
}


def rates() -> dict[str, dict[dt.date, Decimal]]:
    """Return currency -> first day of a month -> units for one US dollar."""
    return {
        currency: {_month(at): Decimal(rate) for at, rate in enumerate(text.split())}
        for currency, text in _PER_DOLLAR.items()
    }


def worth(currency: str, home: str, day: dt.date) -> Decimal:
    """Return units of `home` for one of `currency` on a day, unrounded; a day before the table has no rate."""
    return _on(home, day) / _on(currency, day)


def _on(currency: str, day: dt.date) -> Decimal:
    return Decimal(1) if currency == "USD" else rates()[currency][day.replace(day=1)]


def _month(at: int) -> dt.date:
    months = FIRST.month - 1 + at
    return dt.date(FIRST.year + months // 12, months % 12 + 1, 1)
