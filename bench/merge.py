"""
Changed entries into those that are there: psflow's merge of staged rows, beside COPY of them into a plain table.

`python -m bench.merge URL FILE` is the measured process; rows are ready in memory.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from bench.landing import copied
from bench.measure import arguments, say
from psflow.store.connection import Store, sql

_FOLDER = "warehouse.time_expense.time_entry"
_BEFORE = """
create temporary table before as
select time_entry_id, head.xmin::text as head_xmin, head.ctid as head_at from core.time_entry_head head
"""
_TOUCHED = """
select (select count(*) from core.time_entry_head now join before using (time_entry_id)
        where (now.xmin::text, now.ctid) is distinct from (head_xmin, head_at)) as heads,
       (select count(*) from core.time_entry) - %(entries)s as entries
"""


def psflow(url: str, file: Path) -> dict[str, Any]:
    """Merge a feed in one transaction; return seconds and how many entries say something new."""
    text = file.read_bytes()
    with psycopg.connect(url, row_factory=dict_row) as db:
        store = Store(db)
        began = time.perf_counter()
        with store.transaction("bench.merge"):
            store.run(sql(_FOLDER, "staging"))
            copied(db, "copy entry_staging from stdin", text)
            store.run("analyze entry_staging")
            merged = store.row(sql(_FOLDER, "merge"), system="kantata", instance="127.0.0.1") or {}
        return {"seconds": time.perf_counter() - began, "changed": merged["changed"]}


def untouched(url: str, file: Path) -> dict[str, Any]:
    """Merge, and count the rows that were written: heads that moved, and versions that came."""
    with psycopg.connect(url, row_factory=dict_row) as db:
        db.execute(_BEFORE)
        entries = db.execute("select count(*) as count from core.time_entry").fetchone()
        db.commit()
        merged = psflow(url, file)
        touched = db.execute(_TOUCHED, {"entries": entries and entries["count"]}).fetchone()
        written = max(touched["heads"], touched["entries"]) if touched else 0
        return merged | {"unchanged_touched": written - merged["changed"]}


if __name__ == "__main__":
    say(**untouched(arguments()[0], Path(arguments()[1])))
