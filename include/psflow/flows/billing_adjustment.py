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
    """A decision on an entry; `minutes` as billed, None: all that is there (the only way for expenses and items)."""

    kind: Literal["credit", "write_off"]
    entry_key: str
    minutes: Decimal | None
    decided_on: dt.date
    reason: str
    asked_by: str
    approved_by: str


def adjust(store: Store, entity: LegalEntity, decided: Adjustment) -> Decimal:
    """
    Write a decision down and return its amount, rounded once; the last part of an entry takes the residue.

    Raises GateFailed when the entry has less than that to credit or to write off, or one person did both.
    """
    try:
        with store.transaction("billing.adjust"):
            ((_, amount),) = decide(store, entity, [decided])
    except psycopg.errors.CheckViolation as error:
        keep_refusal(store, error)
        raise GateFailed(f"{decided.kind} of {decided.entry_key}: {error.diag.message_primary}") from None
    return amount


def decide(store: Store, entity: LegalEntity, every: Sequence[Adjustment]) -> list[tuple[int, Decimal]]:
    """Write decisions on different entries down, as `adjust` does, in the caller's transaction; return ids, amounts."""
    stage_difference(store, entity, dt.date.max)
    return [_decide(store, decided) for decided in every]


def _decide(store: Store, decided: Adjustment) -> tuple[int, Decimal]:
    found = store.row(sql("warehouse.billing", f"adjustable_{decided.kind}"), entry=decided.entry_key)
    amount, minutes = _part(decided, found)
    number: int = store.value(
        sql("warehouse.billing", "adjust"),
        kind=decided.kind, entry=decided.entry_key, minutes=minutes, amount=amount,
        currency=found["currency"] if found else None, on=decided.decided_on, reason=decided.reason,
        asked_by=decided.asked_by, approved_by=decided.approved_by,
    )  # fmt: skip
    audit.write(store, f"billing.{decided.kind}", decided.entry_key, decided.approved_by, {"amount": str(amount)})
    return number, amount


def _part(decided: Adjustment, found: Row | None) -> tuple[Decimal, Decimal | None]:
    """Return amount and minutes of the part; all of it when nothing would be left."""
    if found is None or not found["amount"]:
        raise GateFailed(f"{decided.kind} of {decided.entry_key}: there is nothing to take; see billing.charge")
    if decided.minutes is None or decided.minutes == found["minutes"]:
        return found["amount"], found["minutes"]
    if found["minutes"] is None:
        raise GateFailed(f"{decided.kind} of {decided.entry_key}: it is taken whole; leave out the minutes")
    if not 0 < decided.minutes < found["minutes"]:
        raise GateFailed(f"{decided.kind} of {decided.entry_key}: {found['minutes']} minutes are there, not more")
    rest = (found["minutes"] - decided.minutes) * found["hourly_rate"] / 60
    return found["amount"] - round_money(rest, found["currency"]), decided.minutes
