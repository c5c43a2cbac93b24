"""What the PSA has of a month, read once more and whole: control K1 holds it against what landed."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from psflow.contracts import Period
from psflow.store.connection import Store
from psflow.systems.ports import Psa

_COPY = "copy ops.source_row (read_id, kind, record_id, project_ref, quantity, unit) from stdin"
_READ = """
insert into ops.source_read (system, instance, period) values (%(system)s, %(instance)s, %(period)s) returning read_id
"""

Told = tuple[str, str, str | None, Decimal | int | None, str]


def read_source(store: Store, psa: Psa, period: Period) -> dict[str, int]:
    """Read every hour and expense of a month at the PSA, of all legal entities; return how many there are."""
    counts = {"time": 0, "expense": 0}
    with store.transaction("period.source"):
        read = store.value(_READ, system=psa.key, instance=psa.instance, period=period.name)
        with store.copy(_COPY) as stream:
            for row in _rows(psa, period):
                stream.write_row((read, *row))
                counts[row[0]] += 1
    return counts


def _rows(psa: Psa, period: Period) -> Iterator[Told]:
    """Yield each record once: while pages are read, one that changes may come twice."""
    seen = set[tuple[str, str]]()
    for row in _told(psa, period):
        if row[:2] not in seen:
            seen.add(row[:2])
            yield row


def _told(psa: Psa, period: Period) -> Iterator[Told]:
    for page in psa.time_entries(None):
        for hour in page.rows:
            if hour.worked_on and period.start <= hour.worked_on <= period.end:
                yield ("time", hour.time_entry_id, hour.project_ref, hour.minutes, "h")
    for spent_page in psa.expenses(None):
        for spent in spent_page.rows:
            if spent.spent_on and period.start <= spent.spent_on <= period.end:
                yield ("expense", spent.expense_entry_id, spent.project_ref, spent.amount, spent.currency or "?")
