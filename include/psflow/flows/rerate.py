"""
Other prices for what is frozen and not posted: the difference by cause, and a new batch at the prices of now.

An hour keeps the price at which it was first frozen until its batch is posted or rejected; this job alone gives it
another. What is posted is in the ledger and keeps its price for good.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any, NamedTuple

from psflow.config import Config, Person
from psflow.contracts import Period
from psflow.errors import GateFailed, NeedsReview
from psflow.flows import billing, observe
from psflow.flows.billing_difference import frozen_batch
from psflow.store import audit
from psflow.store.connection import Row, Store


class Change(NamedTuple):
    """What hours of one project come to by one rate row and by another; a rate or amount that is missing is None."""

    cause: str
    project_code: str
    rate_before: str | None
    rate_after: str | None
    entries: int
    hours: Decimal
    before: Decimal
    after: Decimal | None
    currency: str


def rerate(
    store: Store, config: Config, legal_entity_id: str, period: Period, person: Person | None = None
) -> tuple[str | None, list[Change]]:
    """
    Return what the prices of now would change in the batch of `period` that is not posted; by a person, also do it.

    The first of the two is the new batch, frozen at those prices for gate and approval; None when nothing was done.
    Raises NeedsReview without the duty `rates` or a view of the legal entity, GateFailed when the batch is of another
    period.
    """
    _may(person, legal_entity_id)
    with store.transaction("billing.rerate"):
        billing.alone(store, legal_entity_id)
        before = frozen_batch(store, legal_entity_id)
        if before is None:
            return None, []
        head = billing.find(store, before)
        if head["period"] != period.name:
            raise GateFailed(f"batch {before} is of {head['period']} and not posted; re-rate that period")
        changes = _changes(observe.rates(store, config, legal_entity_id, period).differing)
        if person is None or not changes:
            return None, changes
        made = billing.freeze_in(store, config, legal_entity_id, period, head["invoiced_on"], keeps_prices=False)
        detail: dict[str, Any] = {"batch": made, "changes": [_text(change) for change in changes]}
        audit.write(store, "billing.rerated", before, person.person, detail)
    return made, changes


def totals(changes: list[Change]) -> list[tuple[str, Decimal, Decimal, Decimal]]:
    """Return currency, sums before and after of what has a price now, and what of before has none: it would wait."""
    sums = defaultdict[str, list[Decimal]](lambda: [Decimal(), Decimal(), Decimal()])
    for change in changes:
        if change.after is None:
            sums[change.currency][2] += change.before
        else:
            sums[change.currency][0] += change.before
            sums[change.currency][1] += change.after
    return [(currency, before, after, waits) for currency, (before, after, waits) in sorted(sums.items())]


def _may(person: Person | None, legal_entity_id: str) -> None:
    if person and "rates" not in person.may:
        raise NeedsReview(f"{person.airflow_user} may not re-rate; it takes the duty rates, see may under people")
    if person and not person.sees(legal_entity_id):
        raise NeedsReview(f"{person.airflow_user} does not see {legal_entity_id}; see entities in psflow.yaml")


def _changes(differing: list[Row]) -> list[Change]:
    groups = defaultdict[tuple[Any, ...], list[Row]](list)
    for row in differing:
        now = row["should"].get("reason") or row["should"].get("rate_id")
        groups[row["cause"], row["project_code"], row["billed"].get("rate_id"), now, row["currency"]].append(row)
    return [_change(key, rows) for key, rows in sorted(groups.items(), key=lambda group: str(group[0]))]


def _change(key: tuple[Any, ...], rows: list[Row]) -> Change:
    cause, project, rate_before, rate_after, currency = key
    minutes = sum(int(row["billed"].get("minutes", 0)) for row in rows)
    priced = [row["should_amount"] for row in rows if row["should_amount"] is not None]
    return Change(
        cause, project, rate_before, rate_after, len(rows), Decimal(minutes) / 60,
        sum((row["billed_amount"] for row in rows), Decimal()), sum(priced, Decimal()) if priced else None, currency,
    )  # fmt: skip


def _text(change: Change) -> dict[str, str | None]:
    return {name: None if value is None else str(value) for name, value in change._asdict().items()}
