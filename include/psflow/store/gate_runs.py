"""What each gate said about each frozen batch, with the hash of what it looked at."""

from __future__ import annotations

from psflow.store.connection import Store


def record(
    store: Store, suite: str, batch_id: str, content_hash: str | None, rows: int, held: int, checks: int
) -> None:
    """Write a verdict down: passed when nothing is held. `content_hash` is over what may go further."""
    store.run(
        "insert into ops.gate_run (suite, batch_id, verdict, content_hash, rows_checked, rows_held, checks) "
        "values (%(suite)s, %(batch)s, %(verdict)s, %(hash)s, %(rows)s, %(held)s, %(checks)s)",
        suite=suite, batch=batch_id, verdict="held" if held else "passed", hash=content_hash, rows=rows, held=held,
        checks=checks,
    )  # fmt: skip


def record_failure(store: Store, suite: str, batch_id: str, why: str) -> None:
    """Write down that a gate gave no verdict to trust."""
    store.run(
        "insert into ops.gate_run (suite, batch_id, verdict, detail) values (%(suite)s, %(batch)s, 'failed', %(why)s)",
        suite=suite, batch=batch_id, why=why,
    )  # fmt: skip
