"""Where everything stands: the rows behind the screens and `psflow status --json`. Reads only."""

from __future__ import annotations

from typing import Any

from psflow.errors import NeedsReview
from psflow.store.connection import Row, Store, sql
from psflow.store.sight import EVERYTHING, Sight

MOST = 500  # rows a screen shows; `found` on each row says how many there are


def engagements(store: Store, sight: Sight = EVERYTHING, **filters: Any) -> list[Row]:
    """Return engagements (`ops.workflow_state`) by stage, state, team and q; None is not asked."""
    return sight.rows(store, sql("warehouse.workflow", "engagements"), **filters, limit=MOST)


def matrix(store: Store, sight: Sight = EVERYTHING, *, team: str | None, q: str | None) -> dict[tuple[str, str], int]:
    """Return (stage, state) -> number of engagements."""
    found = sight.rows(store, sql("warehouse.workflow", "matrix"), team=team, q=q)
    return {(row["stage"], row["state"]): row["engagements"] for row in found}


def exceptions(store: Store, sight: Sight = EVERYTHING, **filters: Any) -> list[Row]:
    """Return exceptions by state, team, rule, engagement, assignee, currency, overdue and older (days)."""
    return sight.rows(store, sql("warehouse.workflow", "exceptions"), **filters, limit=MOST)


def exception(store: Store, sight: Sight, exception_id: int) -> Row:
    """Return one exception with its age. Raises NeedsReview when there is none to see."""
    found = sight.rows(store, "select * from seen_exception where exception_id = %(id)s", id=exception_id)
    if not found:
        raise NeedsReview(f"there is no exception {exception_id}")
    return found[0]


def teams(store: Store, sight: Sight = EVERYTHING) -> list[Row]:
    """Return team -> open, overdue, unassigned, oldest (business days), at_risk ([amount, currency], …)."""
    return sight.rows(store, sql("warehouse.workflow", "teams"))


def events(store: Store, exception_id: int) -> list[Row]:
    """Return what happened to an exception, oldest first."""
    return store.rows(
        "select * from ops.exception_event where exception_id = %(id)s order by event_id", id=exception_id
    )


def candidates(store: Store, exception: Row) -> list[Row]:
    """Return the records of ours that a system's record may be (rule `match`), with score and decision."""
    system, _, record_id = exception["record_id"].partition(":")
    return store.rows(
        sql("warehouse.workflow", "candidates"), entity=exception["entity"], system=system, record=record_id
    )


def suites(store: Store, sight: Sight = EVERYTHING) -> list[Row]:
    """Return each suite with its newest verdict and its counts of verdicts."""
    return sight.rows(store, sql("warehouse.workflow", "suites"))


def verdicts(
    store: Store, sight: Sight = EVERYTHING, *, suite: str | None, verdict: str | None, batch: str | None
) -> list[Row]:
    """Return verdicts, newest first, with their new, known and fixed rows."""
    return sight.rows(store, sql("warehouse.workflow", "gates"), suite=suite, verdict=verdict, batch=batch, limit=MOST)


def gate_run(store: Store, sight: Sight, gate_id: int) -> Row | None:
    """Return one verdict, None when there is none to see."""
    found = sight.rows(store, "select * from seen_gate where gate_id = %(gate)s", gate=gate_id)
    return found[0] if found else None


def checks(store: Store, gate_id: int) -> list[Row]:
    """Return what each check of one verdict said, what went wrong first."""
    return store.rows(
        "select * from ops.gate_check where gate_id = %(gate)s "
        "order by array_position('{failed,held,noted,ok}', outcome), rule",
        gate=gate_id,
    )


def failing(store: Store, sight: Sight, gate_id: int, which: str | None = None, rule: str | None = None) -> list[Row]:
    """Return the values one verdict refused, each with its row; `which` is new, known, fixed or None for all."""
    return sight.rows(store, sql("warehouse.workflow", "gate_rows"), gate=gate_id, which=which, rule=rule)


def run_again(store: Store, record_id: str) -> Row | None:
    """Return {dag_id, run_id} of the Airflow run that stopped over this effect or invoice; None when there is none."""
    return store.row(sql("warehouse.workflow", "run_again"), record=record_id)


def overview(store: Store) -> dict[str, list[Row]]:
    """Return the four views of `ops` that say what goes on."""
    return {
        "workflow_state": store.rows("select * from ops.workflow_state order by engagement_id"),
        "stream_lag": store.rows("select * from ops.stream_lag order by system, instance, stream"),
        "effect_queue": store.rows("select * from ops.effect_queue order by system, capability, state"),
        "exception_age": store.rows(
            "select * from ops.exception_age where state = 'open' order by due_at, exception_id"
        ),
    }
