"""
Records that need a person: one row per rule, record and field, owned by the team that psflow.yaml names.

A finding that comes again is counted. It opens a resolved row again; a waived one only when its value changed.
Every change of state or assignee writes its own event (a trigger does).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from psflow.config import Config, Rule
from psflow.contracts.text import storable
from psflow.errors import NeedsReview
from psflow.store import audit
from psflow.store.connection import Row, Store, sql

Action = Literal["assign", "comment", "retry", "waive", "resolve", "reopen"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one field of one record. `record_id` is the id its owner knows it by; money has a currency."""

    rule: Rule
    entity: str
    record_id: str
    field: str
    value: str | None
    message: str
    engagement_id: str | None = None
    amount_at_risk: Decimal | None = None
    currency: str | None = None


def open_all(store: Store, config: Config, findings: Iterable[Finding]) -> int:
    """Open an exception for each finding, or count it where it is known; returns how many were opened."""
    given = [_row(config, finding) for finding in findings]
    if not given:
        return 0
    opened: int = store.value(sql("warehouse.workflow", "open_exceptions"), findings=json.dumps(given))
    return opened


def _row(config: Config, f: Finding) -> dict[str, str | int | None]:
    route = config.routing[f.rule]
    return {
        "rule": f.rule, "entity": f.entity, "record_id": storable(f.record_id), "field": storable(f.field),
        "value": None if f.value is None else storable(f.value), "message": storable(f.message),
        "engagement_id": f.engagement_id, "owner_team": route.owner_team, "fix": route.fix,
        "due_days": route.due_days, "currency": f.currency,
        "amount_at_risk": None if f.amount_at_risk is None else str(f.amount_at_risk),
    }  # fmt: skip


def resolve(
    store: Store, rule: Rule, entity: str, record_ids: Sequence[str], told_by: str = "", field: str | None = None
) -> int:
    """Resolve what is open about these records under this rule, in messages that begin so; returns how many."""
    return store.run(
        "update ops.exceptions set state = 'resolved', resolved_at = clock_timestamp() "
        "where state = 'open' and rule = %(rule)s and entity = %(entity)s and record_id = any(%(ids)s) "
        "and starts_with(message, %(told_by)s) and field = coalesce(%(field)s, field)",
        rule=rule, entity=entity, ids=list(record_ids), told_by=told_by, field=field,
    )  # fmt: skip


def resolve_others(store: Store, rule: Rule, entity: str, still_wrong: Sequence[str]) -> int:
    """Resolve what is open under this rule about every record but these; returns how many."""
    return store.run(
        "update ops.exceptions set state = 'resolved', resolved_at = clock_timestamp() "
        "where state = 'open' and rule = %(rule)s and entity = %(entity)s and record_id <> all(%(ids)s)",
        rule=rule, entity=entity, ids=list(still_wrong),
    )  # fmt: skip


def assign(store: Store, exception_id: int, who: str, to: str | None, comment: str = "") -> None:
    """Give an open exception to a person of psflow.yaml, or to nobody. Raises NeedsReview unless it is open."""
    with _changed(store, exception_id, who, "assign", comment):
        _must_be_open(store, exception_id, "assign")
        store.run("update ops.exceptions set assignee = %(to)s where exception_id = %(id)s", id=exception_id, to=to)


def comment(store: Store, exception_id: int, who: str, text: str) -> None:
    """Add a comment, in any state."""
    with _changed(store, exception_id, who, "comment", text):
        _locked(store, exception_id)
        _event(store, exception_id, who, "commented", text)


def retried(store: Store, exception_id: int, who: str, what_runs: str) -> None:
    """Write down which run looks at an exception again."""
    with _changed(store, exception_id, who, "retry", what_runs):
        _must_be_open(store, exception_id, "retry")
        _event(store, exception_id, who, "retried", what_runs)


def close(store: Store, exception_id: int, who: str, action: Literal["waive", "resolve"], reason: str) -> None:
    """Waive (it stays so while its value is the same) or resolve by hand. Raises NeedsReview unless it is open."""
    with _changed(store, exception_id, who, action, reason):
        _must_be_open(store, exception_id, action)
        store.run(
            "update ops.exceptions set state = %(state)s, "
            "resolved_at = case %(state)s when 'resolved' then clock_timestamp() end where exception_id = %(id)s",
            id=exception_id, state={"waive": "waived", "resolve": "resolved"}[action],
        )  # fmt: skip


def reopen(store: Store, config: Config, exception_id: int, who: str, reason: str) -> None:
    """Open a waived or resolved exception again, with a new due time. Raises NeedsReview when it is open."""
    with _changed(store, exception_id, who, "reopen", reason):
        row = _locked(store, exception_id)
        if row["state"] == "open":
            raise NeedsReview(f"exception {exception_id} is open already")
        store.run(
            "update ops.exceptions set state = 'open', opened_at = clock_timestamp(), resolved_at = null, "
            "due_at = ops.business_due(clock_timestamp(), %(days)s) where exception_id = %(id)s",
            id=exception_id, days=config.routing[row["rule"]].due_days,
        )  # fmt: skip


@contextmanager
def _changed(store: Store, exception_id: int, who: str, action: Action, says: str) -> Iterator[None]:
    """Do a person's action, its event and its audit row in one transaction."""
    with store.transaction(f"exception.{action}"):
        store.run(
            "select set_config('psflow.person', %(who)s, true), set_config('psflow.comment', %(says)s, true)",
            who=who, says=says,
        )  # fmt: skip
        yield
        audit.write(store, f"exception.{action}", f"exception {exception_id}", who, {"comment": says})


def _locked(store: Store, exception_id: int) -> Row:
    row = store.row("select state, rule from ops.exceptions where exception_id = %(id)s for update", id=exception_id)
    if row is None:
        raise NeedsReview(f"there is no exception {exception_id}")
    return row


def _must_be_open(store: Store, exception_id: int, action: Action) -> None:
    state = _locked(store, exception_id)["state"]
    if state != "open":
        raise NeedsReview(f"exception {exception_id} is {state}: to {action} it, reopen it first")


def _event(store: Store, exception_id: int, who: str, what: str, says: str) -> None:
    store.run(
        "insert into ops.exception_event (exception_id, who, what, comment) "
        "values (%(id)s, %(who)s, %(what)s, %(says)s)",
        id=exception_id, who=who, what=what, says=says,
    )  # fmt: skip
