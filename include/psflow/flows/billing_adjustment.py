"""
What two persons decide about one entry: a credit takes back part of its invoice and opens it, a write-off ends it.

Both name the entry and its time; the difference of the next batch carries them out. A decision is never changed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import psycopg

from psflow.contracts import LegalEntity
from psflow.errors import GateFailed
from psflow.flows.billing_difference import stage_difference
from psflow.flows.period_lock import keep_refusal
from psflow.rules.split import round_money
from psflow.store import audit
from psflow.store.connection import Row, Store, sql


@dataclass(frozen=True, slots=True)
class Adjustment:
    """
    A decision on an entry; `minutes` as billed, None: all that is there (the only way for expenses and items).

    `payer_id` is of a credit that one payer alone gets; None: each payer gets its share.
    """

    kind: Literal["credit", "write_off"]
    entry_key: str
    minutes: Decimal | None
    decided_on: dt.date
    reason: str
    asked_by: str
    approved_by: str
    payer_id: str | None = None


def adjust(store: Store, entity: LegalEntity, decided: Adjustment) -> Decimal:
    """
    Write a decision down and return its amount, rounded once; the last part of an entry takes the residue.

    Raises GateFailed when the entry has less than that to credit or to write off, or one person did both.
    """
    try:
        with store.transaction("billing.adjust"):
            done = decide(store, entity, [decided])
    except psycopg.errors.CheckViolation as error:
        keep_refusal(store, error)
        raise GateFailed(f"{decided.kind} of {decided.entry_key}: {error.diag.message_primary}") from None
    return sum((amount for _, amount in done), Decimal())


# not the end of time: a fee without an end has no last month
_LAST_DAY = """
select greatest(current_date, (select max(worked_on) from billing.charge),
                (select max(worked_on) from billing.passed_entry where legal_entity_id = %(entity)s))
"""


def decide(store: Store, entity: LegalEntity, every: Sequence[Adjustment]) -> list[tuple[int, Decimal]]:
    """Write decisions on different entries down, as `adjust` does, in the caller's transaction; return ids, amounts."""
    stage_difference(store, entity, store.value(_LAST_DAY, entity=entity.legal_entity_id))
    return [done for decided in every for done in _decide(store, decided)]


def _decide(store: Store, decided: Adjustment) -> list[tuple[int, Decimal]]:
    scope = {"entry": decided.entry_key, "payer": decided.payer_id}
    found = store.rows(sql("warehouse.billing", f"adjustable_{decided.kind}"), **scope)
    return [_keep(store, decided, row, minutes) for row, minutes in _parts(decided, found)]


def _keep(store: Store, decided: Adjustment, row: Row, minutes: Decimal | None) -> tuple[int, Decimal]:
    amount = _amount(row, minutes)
    number: int = store.value(
        sql("warehouse.billing", "adjust"),
        kind=decided.kind, entry=decided.entry_key, component=row["component"], minutes=minutes, amount=amount,
        currency=row["currency"], on=decided.decided_on, reason=decided.reason, asked_by=decided.asked_by,
        approved_by=decided.approved_by, payer=decided.payer_id,
    )  # fmt: skip
    audit.write(store, f"billing.{decided.kind}", decided.entry_key, decided.approved_by, {"amount": str(amount)})
    return number, amount


def _parts(decided: Adjustment, found: Sequence[Row]) -> list[tuple[Row, Decimal | None]]:
    """Return the parts of an entry that are decided on, and how many minutes of each; its overtime first."""
    parts = [row for row in found if row["amount"]]
    if not parts:
        raise GateFailed(f"{decided.kind} of {decided.entry_key}: there is nothing to take; see billing.charge")
    if decided.minutes is None:
        return [(row, row["minutes"]) for row in parts]
    if any(row["minutes"] is None for row in parts):
        raise GateFailed(f"{decided.kind} of {decided.entry_key}: it is taken whole; leave out the minutes")
    there = sum((row["minutes"] for row in parts), Decimal())
    if not 0 < decided.minutes <= there:
        raise GateFailed(f"{decided.kind} of {decided.entry_key}: {there} minutes are there, not more")
    taken, left = list[tuple[Row, Decimal | None]](), decided.minutes
    for row in parts:
        taken.append((row, min(left, row["minutes"])))
        left -= min(left, row["minutes"])
    return [(row, minutes) for row, minutes in taken if minutes]


def _amount(row: Row, minutes: Decimal | None) -> Decimal:
    """Return what minutes of a part come to; all of it when nothing would be left."""
    whole: Decimal = row["amount"]
    if minutes == row["minutes"]:
        return whole
    rate, of = (row["day_rate"], 60 * row["hours_per_day"]) if row["day_rate"] else (row["hourly_rate"], 60)
    return whole - round_money((row["minutes"] - minutes) * rate / of, row["currency"])
