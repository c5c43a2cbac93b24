"""A record that needs a person: found, counted, worked on by one, and never lost."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from psflow.config import Config
from psflow.errors import NeedsReview
from psflow.sandbox.postgres import Server
from psflow.store import exceptions
from psflow.store.connection import Store
from psflow.store.exceptions import Finding
from psflow.warehouse import migrate
from tests.database import shipped

HELD = Finding("time_entry", "time_entry", "77", "minutes", "2000", "TE-01: minutes are 1 to 1440")


@pytest.fixture
def config() -> Config:
    return shipped()


def tell(store: Store, config: Config, *findings: Finding) -> int:
    with store.transaction("test"):
        return exceptions.open_all(store, config, findings)


def rows(store: Store) -> list[dict[str, Any]]:
    return store.rows("select * from ops.exception_age order by exception_id")


def told(store: Store) -> list[tuple[str, str, str | None]]:
    found = store.rows("select who, what, comment from ops.exception_event order by event_id")
    return [(r["who"], r["what"], r["comment"]) for r in found]


def test_a_finding_that_comes_again_is_one_row_that_counts(store: Store, config: Config) -> None:
    assert tell(store, config, HELD) == 1
    assert tell(store, config, HELD) == 0
    assert tell(store, config, HELD, HELD) == 0
    (row,) = rows(store)
    assert (row["seen"], row["state"]) == (3, "open")
    assert row["last_seen_at"] > row["opened_at"]
    assert told(store) == [("psflow", "opened", HELD.message)]


def test_money_at_risk_is_kept_with_its_currency(store: Store, config: Config) -> None:
    tell(store, config, Finding("billing", "invoice", "I-1", "amount", "1", "differs", None, Decimal("12.345"), "KWD"))
    assert (rows(store)[0]["amount_at_risk"], rows(store)[0]["currency"]) == (Decimal("12.345"), "KWD")
    with pytest.raises(psycopg.errors.CheckViolation):
        tell(store, config, Finding("billing", "invoice", "I-2", "amount", "1", "differs", None, Decimal(1), None))


def test_what_was_waived_stays_waived_until_its_value_changes(store: Store, config: Config) -> None:
    tell(store, config, HELD)
    exceptions.close(store, rows(store)[0]["exception_id"], "P-201", "waive", "the client agreed")
    assert tell(store, config, HELD) == 0
    assert (rows(store)[0]["state"], rows(store)[0]["seen"]) == ("waived", 2)
    assert tell(store, config, Finding("time_entry", "time_entry", "77", "minutes", "3000", "TE-01")) == 1
    assert rows(store)[0]["state"] == "open"
    assert [what for _, what, _ in told(store)] == ["opened", "waived", "reopened"]


def test_what_was_resolved_is_open_again_when_it_comes_back(store: Store, config: Config) -> None:
    tell(store, config, HELD)
    with store.transaction("test"):
        assert exceptions.resolve(store, "time_entry", "time_entry", ["77"]) == 1
    first = rows(store)[0]
    assert tell(store, config, HELD) == 1
    (row,) = rows(store)
    assert (row["state"], row["seen"], row["resolved_at"]) == ("open", 2, None)
    assert row["opened_at"] > first["resolved_at"]
    assert [(who, what) for who, what, _ in told(store)] == [
        ("psflow", "opened"), ("psflow", "resolved"), ("psflow", "reopened"),
    ]  # fmt: skip


def test_what_people_do_is_told_with_who_and_why_and_audited(store: Store, config: Config) -> None:
    tell(store, config, HELD)
    number = rows(store)[0]["exception_id"]
    exceptions.assign(store, number, "P-201", "P-101", "yours")
    exceptions.comment(store, number, "P-101", "asked the consultant")
    exceptions.retried(store, number, "P-101", "time_expense run manual__1")
    exceptions.close(store, number, "P-101", "resolve", "corrected")
    exceptions.reopen(store, config, number, "P-201", "it is not")
    assert told(store)[1:] == [
        ("P-201", "assigned", "to P-101: yours"),
        ("P-101", "commented", "asked the consultant"),
        ("P-101", "retried", "time_expense run manual__1"),
        ("P-101", "resolved", "corrected"),
        ("P-201", "reopened", "it is not"),
    ]
    audit = store.rows("select actor, action, subject from ops.audit order by audit_id")
    assert [row["action"] for row in audit] == [
        "exception.assign", "exception.comment", "exception.retry", "exception.resolve", "exception.reopen",
    ]  # fmt: skip
    assert {row["subject"] for row in audit} == {f"exception {number}"}
    assert rows(store)[0]["assignee"] == "P-101"


def test_an_action_that_does_not_fit_the_state_changes_nothing(store: Store, config: Config) -> None:
    tell(store, config, HELD)
    number = rows(store)[0]["exception_id"]
    with pytest.raises(NeedsReview, match="open already"):
        exceptions.reopen(store, config, number, "P-201", "why not")
    exceptions.close(store, number, "P-201", "resolve", "done")
    with pytest.raises(NeedsReview, match="reopen it first"):
        exceptions.close(store, number, "P-201", "waive", "twice")
    with pytest.raises(NeedsReview, match="there is no exception 999"):
        exceptions.comment(store, 999, "P-201", "hello")
    assert store.value("select count(*) from ops.audit") == 1


@pytest.mark.parametrize(
    ("opened", "due"),
    [
        ("2026-11-20 10:00+00", "2026-11-24 10:00+00"),  # a Friday: the weekend does not count
        ("2026-11-21 15:00+00", "2026-11-25 00:00+00"),  # a Saturday begins on Monday
        ("2026-11-23 00:00+00", "2026-11-25 00:00+00"),
    ],
)
def test_due_times_and_ages_know_weekends(store: Store, opened: str, due: str) -> None:
    found = store.row(
        "select ops.business_due(%(opened)s::timestamptz, 2) = %(due)s::timestamptz as due, "
        "round(ops.business_clock(%(due)s::timestamptz) - ops.business_clock(%(opened)s::timestamptz), 1) as age",
        opened=opened, due=due,
    )  # fmt: skip
    assert found == {"due": True, "age": Decimal("2.0")}


def test_an_older_database_keeps_what_its_rows_of_one_key_said(
    postgres: Server, owner: Callable[[str], object]
) -> None:
    owner("create database psflow_older")
    try:
        url = postgres.url("psflow_older")
        _migrate_to(url, "0003")
        with psycopg.connect(url, autocommit=True) as db:
            for state in ("resolved", "resolved", "open"):
                db.execute(
                    "insert into ops.exceptions (rule, entity, record_id, field, message, owner_team, fix, state, "
                    "resolved_at) values ('rate', 'time_entry', '1', 'role', 'no rate', 'finance', 'add it', %s, "
                    "case %s when 'resolved' then clock_timestamp() end)",
                    [state, state],
                )
        migrate.upgrade(url)
        with psycopg.connect(url) as db:
            assert db.execute("select state, seen from ops.exceptions").fetchall() == [("open", 3)]
            events = db.execute("select what from ops.exception_event order by event_id").fetchall()
        assert [e for (e,) in events] == ["opened", "resolved", "reopened", "resolved", "reopened"]
    finally:
        owner("drop database psflow_older with (force)")


def _migrate_to(url: str, revision: str) -> None:
    from alembic import command

    with migrate._engine(url).begin() as connection:
        alembic = migrate._config()
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, revision)
