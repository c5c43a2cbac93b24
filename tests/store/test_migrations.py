"""The business database comes to this version, once, and each role may do its own work only."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from psflow.sandbox.postgres import Server
from psflow.store.connection import Store
from psflow.warehouse import migrate
from tests.database import as_role

STEPS = [path.name[:4] for path in sorted(Path(migrate.__file__).parent.glob("migrations/versions/*.sql"))]


def test_a_migrated_database_lacks_nothing_and_migrating_again_changes_nothing(admin_url: str) -> None:
    assert migrate.pending(admin_url) == []
    assert migrate.upgrade(admin_url) == STEPS[-1]


def test_a_new_database_lacks_every_step(postgres: Server) -> None:
    assert migrate.pending(postgres.url("template1")) == STEPS


@pytest.mark.parametrize(
    "statement",
    [
        "update billing.charge set amount = 0",
        "delete from billing.charge",
        "update billing.batch_line set amount = 0",
        "delete from core.time_entry",
        "update core.time_entry set minutes = 0",
        "update ops.approval set decision = 'approved'",
        "delete from ops.audit",
        "update ops.gate_run set verdict = 'passed'",
        "delete from ops.effect",
        "drop table ops.effect",
        "alter table billing.invoice disable trigger guard",
    ],
)
def test_the_flows_cannot_rewrite_history(store: Store, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), store.transaction("test"):
        store.run(statement)  # type: ignore[arg-type]


def test_finance_reads_its_tables_and_writes_nothing(admin_url: str) -> None:
    with psycopg.connect(as_role(admin_url, "psflow_finance"), autocommit=True) as finance:
        assert finance.execute("select count(*) from finance.invoice_tie_out").fetchone() == (0,)
        assert finance.execute("select count(*) from finance.invoice").fetchone() == (0,)
        for statement in (
            "delete from finance.invoice_tie_out",
            "select * from ops.effect",
            "select * from raw.record",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                finance.execute(statement)  # type: ignore[arg-type]
