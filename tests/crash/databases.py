"""The databases of one bench: an empty one, what was before each stage, and the one a case runs in."""

from __future__ import annotations

import time

import psycopg
from psycopg import sql

from psflow.sandbox.postgres import Postgres
from psflow.warehouse import migrate
from tests.crash import clock
from tests.crash.clock import Board


class Databases:
    """Copies of files are cheaper than a truncate; every name begins with the bench's."""

    def __init__(self, server: Postgres, bench: str, board: Board) -> None:
        self.server, self.bench = server, bench
        self.synchronous = "off"  # what a dead worker committed stays with Postgres; `on` where Postgres itself dies
        self.admin = psycopg.connect(server.url(), autocommit=True)
        self.empty, self.run = f"{bench}_empty", f"{bench}_run"
        self.admin.execute(sql.SQL("create database {}").format(sql.Identifier(self.empty)))
        clock.install_in_postgres(server.url(self.empty), board)
        migrate.upgrade(clock.url(server.url(self.empty)))

    def close(self) -> None:
        """Drop all of them."""
        names = self.admin.execute("select datname from pg_database where starts_with(datname, %s)", [f"{self.bench}_"])
        for (name,) in names.fetchall():
            self.drop(name)
        self.admin.close()

    def url(self, role: str | None = None) -> str:
        """Return the URL of the one a case runs in."""
        return clock.url(self.server.url(self.run), role, synchronous_commit=self.synchronous)

    def copy(self, template: str, name: str) -> None:
        """Make `name` what `template` is."""
        self.drop(name)
        make = "create database {} template {} strategy file_copy"
        self.admin.execute(sql.SQL(make).format(sql.Identifier(name), sql.Identifier(template)))

    def drop(self, name: str) -> None:
        """Forget one."""
        self.admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def as_owner(self, statement: str) -> None:
        """Run a statement where the case runs, as its owner."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]

    def settle(self) -> None:
        """Wait until Postgres has noticed who died; one that died itself is started again."""
        if not self.server.running:
            self.server.start()
            self.admin = psycopg.connect(self.server.url(), autocommit=True)
        sessions = "select count(*) from pg_stat_activity where datname = %s and application_name = 'psflow'"
        while self.admin.execute(sessions, [self.run]).fetchone() != (0,):
            time.sleep(0.001)
