"""One vendor sandbox's durable state in one SQLite file: records, counters, settings and armed faults."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

_JSON = msgspec.json.Encoder(decimal_format="number")  # an amount becomes the number it is, digit by digit
_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    kind TEXT NOT NULL, id TEXT NOT NULL, stamp TEXT NOT NULL, link TEXT, body TEXT NOT NULL, PRIMARY KEY (kind, id));
CREATE INDEX IF NOT EXISTS record_by_stamp ON record (kind, stamp, length(id), id);
CREATE INDEX IF NOT EXISTS record_by_link ON record (kind, link);
CREATE TABLE IF NOT EXISTS tally (name TEXT PRIMARY KEY, n INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS fault (
    id INTEGER PRIMARY KEY, match TEXT NOT NULL, fault TEXT NOT NULL, times INTEGER NOT NULL,
    skip INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Row(NamedTuple):
    """One record as kept: `stamp` sorts as text, `link` is the one foreign key it is looked up by."""

    id: str
    stamp: str
    link: str | None
    body: dict[str, Any]


class Shelf:
    """One vendor's durable state in one SQLite file. Kinds that start with `_` are the sandbox's own."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # its settings hold what the vendor accepts as a login; SQLite's side files follow
        # One thread at a time uses it (the server's); only the thread that built the app differs.
        self.db = sqlite3.connect(path, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")  # survives a killed process; a power cut is not in the story
        self.db.executescript(_SCHEMA)
        if "skip" not in [column for _, column, *_ in self.db.execute("PRAGMA table_info(fault)")]:  # an older file
            self.db.execute("ALTER TABLE fault ADD COLUMN skip INTEGER NOT NULL DEFAULT 0")

    def put(self, kind: str, rows: Iterable[Row]) -> None:
        """Insert or replace records."""
        values = [(kind, r.id, r.stamp, r.link, _JSON.encode(r.body).decode()) for r in rows]
        self.db.executemany("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?)", values)

    def get(self, kind: str, record_id: str) -> dict[str, Any] | None:
        """Return one record's body, or None."""
        found = self.select(kind, "id = ?", [record_id])
        return found[0] if found else None

    def select(self, kind: str, where: str, values: Sequence[Any], tail: str = "") -> list[dict[str, Any]]:
        """Return the bodies that match a condition of ours (never of a caller's text)."""
        sql = f"SELECT body FROM record WHERE kind = ? AND ({where}) {tail}"
        return [json.loads(body) for (body,) in self.db.execute(sql, [kind, *values])]

    def ids(self, kind: str, where: str, values: Sequence[Any], tail: str = "") -> list[str]:
        """Return the ids that match, in the order of `tail`."""
        sql = f"SELECT id FROM record WHERE kind = ? AND ({where}) {tail}"
        return [found for (found,) in self.db.execute(sql, [kind, *values])]

    def count(self, kind: str, where: str, values: Sequence[Any]) -> int:
        """Return how many records match."""
        sql = f"SELECT count(*) FROM record WHERE kind = ? AND ({where})"
        return int(self.db.execute(sql, [kind, *values]).fetchone()[0])

    def delete(self, kind: str, record_id: str) -> None:
        """Forget one record."""
        self.db.execute("DELETE FROM record WHERE kind = ? AND id = ?", (kind, record_id))

    def next_number(self, kind: str) -> int:
        """Return a number above every id of this kind that is one."""
        sql = "SELECT coalesce(max(CAST(id AS INTEGER)), 0) + 1 FROM record WHERE kind = ?"
        return int(self.db.execute(sql, (kind,)).fetchone()[0])

    def tally(self, name: str) -> int:
        """Add one to a counter and return it."""
        sql = "INSERT INTO tally VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET n = n + 1 RETURNING n"
        return int(self.db.execute(sql, (name,)).fetchone()[0])

    def setting(self, name: str, default: Any) -> Any:
        """Return a setting as loaded, or the default."""
        found = self.db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return json.loads(found[0]) if found else default

    def arm(self, match: str, fault: str, times: int = 1, skip: int = 0) -> None:
        """Let a fault strike the next `times` requests that match, after `skip` of them went through."""
        sql = "INSERT INTO fault (match, fault, times, skip) VALUES (?, ?, ?, ?)"
        self.db.execute(sql, (match, fault, times, skip))

    def arm_all(self, faults: Iterable[tuple[str, str, int, int]]) -> None:
        """Arm faults given as (match, fault, skip, times)."""
        self.db.executemany("INSERT INTO fault (match, fault, skip, times) VALUES (?, ?, ?, ?)", faults)

    def struck(self, match: str) -> dict[str, int]:
        """Return fault -> how many of those armed for this match have struck to their end."""
        return dict(
            self.db.execute("SELECT fault, count(*) FROM fault WHERE match = ? AND times = 0 GROUP BY 1", (match,))
        )

    def take_fault(self, request: str, kind: str = "") -> str | None:
        """
        Use up one armed fault that matches `METHOD /path` or the request's kind (read, write), or return None.

        Faults of one match strike in the order they were armed, each after its own number of spared requests.
        """
        waiting = set[str]()
        armed = "SELECT id, match, fault, skip FROM fault WHERE times > 0 ORDER BY id"
        for key, match, fault, skip in self.db.execute(armed).fetchall():
            if match in waiting or not (match == kind or request.startswith(match)):
                continue
            if skip == 0:
                self.db.execute("UPDATE fault SET times = times - 1 WHERE id = ?", (key,))
                self.tally(f"fault:{fault}")
                return str(fault)
            self.db.execute("UPDATE fault SET skip = skip - 1 WHERE id = ?", (key,))
            waiting.add(match)
        return None

    def state(self) -> dict[str, Any]:
        """Return counts per record kind, reads, writes and faults injected by kind."""
        kinds = self.db.execute(
            "SELECT kind, count(*) FROM record WHERE kind NOT LIKE '\\_%' ESCAPE '\\' GROUP BY kind"
        )
        tally = dict(self.db.execute("SELECT name, n FROM tally"))
        faults = {name.removeprefix("fault:"): n for name, n in tally.items() if name.startswith("fault:")}
        return {
            "records": dict(kinds),
            "reads": tally.get("reads", 0),
            "writes": tally.get("writes", 0),
            "faults": faults,
        }

    def reset(self) -> None:
        """Forget records, counters and faults; settings (credentials among them) stay."""
        for table in ("record", "tally", "fault"):
            self.db.execute(f"DELETE FROM {table}")
