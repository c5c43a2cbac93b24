"""
Publish finance's numbers: freeze them, let the gates of ledger and metrics look, and keep what was said when.

`finance.metric` is what the numbers are now, `finance.metric_published` what they were when they were published.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from psflow.config import Config
from psflow.contracts import LegalEntity
from psflow.errors import GateFailed
from psflow.flows.gate import judge
from psflow.gates.suite import Gate
from psflow.store import exceptions, gate_runs
from psflow.store.connection import Row, Store, sql

SUITE = "metrics/metric"
LEDGER = "billing/charge"
_SQL = "warehouse.metrics.snapshot"


def publish(store: Store, config: Config, gate: Gate, as_of: dt.date) -> dict[str, int | None]:
    """
    Publish the numbers as of a day; return the snapshot (None: there are none yet) and how many numbers it has.

    Numbers that are the same as those published last stay published as they are. Raises GateFailed when ledger or
    metrics do not hold; then the failing rows are exceptions for finance, and what was published before stands.
    """
    snapshot = freeze(store, config, as_of)
    if snapshot is None:
        return {"snapshot": None, "metrics": 0}
    _check_ledger(store, config, gate)
    if not _is_published(store, snapshot):
        _check_metrics(store, config, gate, str(snapshot))
    count: int = store.value("select count(*) from finance.metric_snapshot where snapshot_id = %(id)s", id=snapshot)
    return {"snapshot": snapshot, "metrics": count}


def freeze(store: Store, config: Config, as_of: dt.date) -> int | None:
    """Return the snapshot that holds the numbers as they are: a new one if one of them changed; None without any."""
    with store.transaction("metrics.freeze"):
        store.run("select pg_advisory_xact_lock(hashtext('metrics'))")
        store.run_many(sql(_SQL, "legal_entity"), [_entity(entity) for entity in config.legal_entities])
        snapshot: int | None = store.value(sql(_SQL, "freeze"), as_of=as_of)
    return snapshot


def _entity(entity: LegalEntity) -> Row:
    fields = entity.model_dump(include={"legal_entity_id", "name", "currency", "billing_starts_on"})
    return fields | {name: list(getattr(entity, name)) for name in ("rate_levels", "rate_specificity")}


def _is_published(store: Store, snapshot: int) -> bool:
    found: bool = store.value(
        "select exists (select from ops.gate_run "
        "where suite = %(suite)s and batch_id = %(batch)s and verdict <> 'failed')",
        suite=SUITE, batch=str(snapshot),
    )  # fmt: skip
    return found


def _check_ledger(store: Store, config: Config, gate: Gate) -> None:
    content = _ledger(store)
    if content:  # before the first invoice there is no ledger to judge
        _check(store, config, gate, LEDGER, f"ledger.{content[:12]}", lambda: _ledger(store))


def _check_metrics(store: Store, config: Config, gate: Gate, batch_id: str) -> None:
    def content() -> str | None:
        found: str | None = store.value("select finance.snapshot_hash(%(batch)s)", batch=batch_id)
        return found

    _check(store, config, gate, SUITE, batch_id, content)


def _check(
    store: Store, config: Config, gate: Gate, suite: str, batch_id: str, content: Callable[[], str | None]
) -> None:
    """Record the verdict on one frozen batch; a stop opens an exception for each row that caused it."""
    entity = suite.rpartition("/")[2]
    try:
        verdict = judge(store, gate, suite, batch_id, content)
    except GateFailed:
        with store.transaction("metrics.stopped"):
            rows = store.rows(sql(_SQL, "failed_rows"), suite=suite, batch=batch_id)
            exceptions.open_all(store, config, [_finding(entity, row) for row in rows])
        raise
    with store.transaction("metrics.verdict"):
        gate_runs.record(
            store, suite, batch_id, content(), verdict.rows, 0, verdict.checks, verdict.failing, verdict.results
        )
        exceptions.resolve_others(store, "metrics", entity, [])


def _finding(entity: str, row: Row) -> exceptions.Finding:
    said = f"{row['rule']}: {row['says']}"
    return exceptions.Finding("metrics", entity, row["record_id"], row["field"], row["value"], said)


def _ledger(store: Store) -> str | None:
    found: str | None = store.value("select ops.content_hash('billing.charge_gate')")
    return found
