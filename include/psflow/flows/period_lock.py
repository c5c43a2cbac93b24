"""Who holds a month, what became of it, and who tried to write into one that is closed."""

from __future__ import annotations

import re

import psycopg

from psflow.contracts import Period
from psflow.store import audit
from psflow.store.connection import Store

_CLOSED = re.compile(r"period (\d{4}-\d\d)(?:, \d{4}-\d\d)* of (\S+) is (?:soft-)?closed")


def lock(store: Store, legal_entity_id: str, period: Period) -> str:
    """Return a period's state, once nobody writes into it or closes it; nobody does until the transaction ends."""
    where = {"entity": legal_entity_id, "period": period.name}
    store.run(
        "insert into core.period (legal_entity_id, period) values (%(entity)s, %(period)s) on conflict do nothing",
        **where,
    )
    state: str = store.value(
        "select state from core.period where (legal_entity_id, period) = (%(entity)s, %(period)s) for update", **where
    )
    return state


def note(
    store: Store, entity: str, period: Period, event: str, person: str | None, reason: str, run_id: str = ""
) -> None:
    """Keep what became of a period, in the caller's transaction; person None: psflow found it."""
    store.run(
        "insert into ops.period_event (legal_entity_id, period, event, person, reason, run_id) "
        "values (%(entity)s, %(period)s, %(event)s, %(person)s, %(reason)s, nullif(%(run)s, ''))",
        entity=entity, period=period.name, event=event, person=person, reason=reason, run=run_id,
    )  # fmt: skip
    audit.write(store, f"period.{event}", f"{entity} {period.name}", person, {"reason": reason})


def keep_refusal(store: Store, error: psycopg.Error) -> None:
    """Keep that Postgres refused a write into a closed month, for control K9; any other refusal is not for here."""
    if found := _CLOSED.match(error.diag.message_primary or ""):
        with store.transaction("period.refused"):
            note(store, found[2], Period(name=found[1]), "refused", None, error.diag.message_primary or "")
