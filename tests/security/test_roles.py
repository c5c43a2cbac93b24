"""What each role of the database may not do, tried as that role."""

from __future__ import annotations

import psycopg
import pytest

from psflow.sandbox.postgres import Server
from psflow.warehouse import definitions, migrate
from tests.database import as_role
from tests.security.forbidden import FORBIDDEN, refused

TRIED = [(role, statement) for role, statements in FORBIDDEN.items() for statement in statements]


def test_no_role_does_what_it_must_not(admin_url: str) -> None:
    assert len(TRIED) > 120
    assert [each for each in TRIED if not refused(admin_url, *each)] == []


def test_a_grant_too_many_is_noticed(admin_url: str) -> None:
    with psycopg.connect(admin_url, autocommit=True) as owner:
        owner.execute("grant update (minutes) on core.time_entry to psflow_app")
        owner.execute("grant select on finance.metric to psflow_pmo")
    assert [each for each in TRIED if not refused(admin_url, *each)] == [
        ("psflow_app", "update core.time_entry set minutes = minutes"), ("psflow_pmo", "select * from finance.metric"),
    ]  # fmt: skip


def test_the_pmo_reads_states_and_owners_and_nothing_of_cost(admin_url: str) -> None:
    with psycopg.connect(as_role(admin_url, "psflow_pmo"), autocommit=True) as pmo:
        for view in ("ops.workflow_state", "ops.exception_list", "ops.stream_lag", "ops.effect_queue", "ops.gate_run",
                     "ops.gate_check", "finance.utilization_weekly"):  # fmt: skip
            columns = [c.name for c in pmo.execute(f"select * from {view}").description or ()]  # type: ignore[call-overload]
            assert not {"cost", "hourly_cost", "margin", "value", "message", "work_email"} & set(columns), view


def test_nobody_connects_or_reads_by_being_there(postgres: Server) -> None:
    """The public role may not even connect, and what is in schema public is nobody's."""
    postgres.ensure_database("closed", "closed_owner")
    migrate.upgrade(postgres.url("closed"))
    postgres.ensure_database("of_others", "others")
    postgres.ensure_role("passer_by")
    for database in ("closed", "of_others"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(postgres.url(database, "passer_by"))
    psycopg.connect(postgres.url("of_others", "others")).close()
    for role in ("psflow_app", "psflow_finance", "psflow_pmo"):
        postgres.ensure_role(role)
        with psycopg.connect(postgres.url("closed", role)) as connection:
            assert connection.execute("select current_user").fetchone() == (role,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("select * from public.schema_version")
        with psycopg.connect(postgres.url("closed", role)) as connection:
            if role != "psflow_app":  # billing stages its difference there
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute("create temporary table mine (n int)")
    postgres.drop_database("closed")
    postgres.drop_database("of_others")


def test_a_new_view_of_finance_is_not_the_pmos_by_default(admin_url: str) -> None:
    with psycopg.connect(admin_url, autocommit=True) as owner:
        owner.execute("drop view finance.backlog cascade")
        migrate.upgrade(admin_url)
        assert "finance.backlog" in {view.relation for view in definitions.views()}
        allowed = "select has_table_privilege(%s, 'finance.backlog', 'select')"
        assert owner.execute(allowed, ["psflow_pmo"]).fetchone() == (False,)
        assert owner.execute(allowed, ["psflow_finance"]).fetchone() == (True,)
