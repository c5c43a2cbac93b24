"""
Time entries from the PSA's pages into Postgres: psflow's own load, beside raw COPY of the same rows ready in memory.

`python -m bench.landing copy URL FILE` and `… psflow URL PSA` are the measured processes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg

from bench.ground import REGION, ROOT
from bench.measure import arguments, say
from psflow import config as policy
from psflow.flows import time_expense
from psflow.store.connection import Store, sql
from psflow.systems.kantata.client import Kantata
from psflow.systems.transport import Transport

_FOLDER = "warehouse.time_expense.time_entry"
_LANDED = sql(_FOLDER, "staging").replace("temporary table entry_staging", "table bench.landed")
_COPY = "copy bench.landed from stdin"


class Watched(Store):
    """A store that notes when the last row was streamed in."""

    landed_at = 0.0

    @contextmanager
    def copy(self, statement: LiteralString) -> Iterator[psycopg.Copy]:
        with super().copy(statement) as stream:
            yield stream
        if not self.landed_at:
            self.landed_at = time.perf_counter()


def raw_copy(url: str, file: Path) -> None:
    """Copy rows that are ready in memory into a plain table."""
    text = file.read_bytes()
    with psycopg.connect(url) as db:
        db.execute("drop schema if exists bench cascade")
        db.execute("create schema bench")
        db.execute(_LANDED.replace("on commit drop", ""))
        db.commit()
        began = time.perf_counter()
        copied(db, _COPY, text)
        db.commit()
        say(seconds=time.perf_counter() - began)


def copied(db: psycopg.Connection[Any], statement: LiteralString, text: bytes) -> None:
    """Stream text that is ready."""
    with db.cursor() as cursor, cursor.copy(statement) as stream:
        for start in range(0, len(text), 1 << 18):
            stream.write(text[start : start + (1 << 18)])


def psflow(url: str, psa: str) -> None:
    """Load the feed as the DAG does."""
    config = policy.load(ROOT / "psflow.yaml")
    kantata = Kantata(Transport("kantata", psa, 60), config.systems["kantata"], "bench")
    with Watched.open(url, REGION) as opened:
        store = cast(Watched, opened)
        began = time.perf_counter()
        counts = time_expense.load(store, config, kantata)
        merged_at = time.perf_counter()
        _let_pass(store)
        ended = time.perf_counter()
        say(seconds=store.landed_at - began, merge_s=merged_at - store.landed_at, whole_s=ended - began, **counts)


def _let_pass(store: Store) -> None:
    """Apply a verdict that holds nobody: the gate has a row of its own."""
    with store.transaction("bench.verdict"):
        for row in store.rows(sql(_FOLDER, "pending_loads")):
            store.row(sql(_FOLDER, "split"), load=str(row["load_id"]), failing=[])


if __name__ == "__main__":
    which, url, what = arguments()
    if which == "copy":
        raw_copy(url, Path(what))
    else:
        psflow(url, what)
