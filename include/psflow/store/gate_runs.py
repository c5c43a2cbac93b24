"""What each gate said about each frozen batch, with the hash of what it looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from psflow.store.connection import Store


class Failing(Protocol):
    """One value that broke one rule, as a gate reports it."""

    @property
    def key(self) -> str: ...
    @property
    def field(self) -> str: ...
    @property
    def value(self) -> str | None: ...
    @property
    def rule(self) -> str: ...
    @property
    def says(self) -> str: ...


class CheckResult(Protocol):
    """What one check said, as a gate reports it."""

    @property
    def rule(self) -> str: ...
    @property
    def expectation(self) -> str: ...
    @property
    def field(self) -> str: ...
    @property
    def says(self) -> str: ...
    @property
    def on_fail(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def rows(self) -> Sequence[Failing]: ...


def record(
    store: Store, suite: str, batch_id: str, content_hash: str | None, rows: int, held: int, checks: int,
    failing: Iterable[Failing] = (), results: Iterable[CheckResult] = (),
) -> None:  # fmt: skip
    """Write a verdict down: passed when nothing is held. `content_hash` is over what may go further."""
    gate_id = store.value(
        "insert into ops.gate_run (suite, batch_id, verdict, content_hash, rows_checked, rows_held, checks) "
        "values (%(suite)s, %(batch)s, %(verdict)s, %(hash)s, %(rows)s, %(held)s, %(checks)s) returning gate_id",
        suite=suite, batch=batch_id, verdict="held" if held else "passed", hash=content_hash, rows=rows, held=held,
        checks=checks,
    )  # fmt: skip
    _record_checks(store, gate_id, results)
    _record_rows(store, gate_id, failing)


def record_failure(
    store: Store, suite: str, batch_id: str, why: str, content_hash: str | None = None,
    results: Iterable[CheckResult] = (),
) -> None:  # fmt: skip
    """Write down that a gate gave no verdict to trust, or stopped the batch; `results` if its checks were evaluated."""
    gate_id = store.value(
        "insert into ops.gate_run (suite, batch_id, verdict, detail, content_hash) "
        "values (%(suite)s, %(batch)s, 'failed', %(why)s, %(hash)s) returning gate_id",
        suite=suite, batch=batch_id, why=why, hash=content_hash,
    )  # fmt: skip
    _record_checks(store, gate_id, results)


def _record_checks(store: Store, gate_id: int, results: Iterable[CheckResult]) -> None:
    checks = list(results)
    store.run_many(
        "insert into ops.gate_check (gate_id, rule, expectation, field, says, on_fail, outcome, failing_rows) "
        "values (%(gate)s, %(rule)s, %(expectation)s, %(field)s, %(says)s, %(on_fail)s, %(outcome)s, %(rows)s)",
        [
            {"gate": gate_id, "rule": c.rule, "expectation": c.expectation, "field": c.field, "says": c.says,
             "on_fail": c.on_fail, "outcome": c.outcome, "rows": len(c.rows)}
            for c in checks
        ],
    )  # fmt: skip
    _record_rows(store, gate_id, (row for check in checks for row in check.rows))


def _record_rows(store: Store, gate_id: int, failing: Iterable[Failing]) -> None:
    store.run_many(
        "insert into ops.gate_failure (gate_id, record_id, field, value, rule, says) "
        "values (%(gate)s, %(key)s, %(field)s, %(value)s, %(rule)s, %(says)s) on conflict do nothing",
        [
            {"gate": gate_id, "key": f.key, "field": f.field, "value": f.value, "rule": f.rule, "says": f.says}
            for f in failing
        ],
    )
