"""
What the vendor sandboxes share: durable records, counters, armed faults and a control route, never a vendor's word.

A handler runs inside one SQLite transaction on the event loop's thread: it is committed before the answer leaves,
so a SIGKILL or an armed time-out loses the answer and never the record. Every control route needs the header
`X-Sandbox-Token`; the app is meant for 127.0.0.1 only.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

FAULTS = ("timeout_after_commit", "e500_after", "e503_before", "throttle")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    kind TEXT NOT NULL, id TEXT NOT NULL, stamp TEXT NOT NULL, link TEXT, body TEXT NOT NULL, PRIMARY KEY (kind, id));
CREATE INDEX IF NOT EXISTS record_by_stamp ON record (kind, stamp, length(id), id);
CREATE INDEX IF NOT EXISTS record_by_link ON record (kind, link);
CREATE TABLE IF NOT EXISTS tally (name TEXT PRIMARY KEY, n INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS fault (
    id INTEGER PRIMARY KEY, match TEXT NOT NULL, fault TEXT NOT NULL, times INTEGER NOT NULL);
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
        # One thread at a time uses it (the server's); only the thread that built the app differs.
        self.db = sqlite3.connect(path, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")  # survives a killed process; a power cut is not in the story
        self.db.executescript(_SCHEMA)

    def put(self, kind: str, rows: Iterable[Row]) -> None:
        """Insert or replace records."""
        values = [(kind, r.id, r.stamp, r.link, json.dumps(r.body, separators=(",", ":"))) for r in rows]
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

    def take_fault(self, request: str) -> str | None:
        """Use up one armed fault that matches `METHOD /path`, or return None."""
        for key, match, fault in self.db.execute("SELECT id, match, fault FROM fault WHERE times > 0 ORDER BY id"):
            if request.startswith(match):
                self.db.execute("UPDATE fault SET times = times - 1 WHERE id = ?", (key,))
                self.tally(f"fault:{fault}")
                return str(fault)
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


@dataclass(frozen=True, slots=True)
class Call:
    """One request, its body read whole."""

    method: str
    path: str
    args: dict[str, str]
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON. Raises ValueError."""
        return json.loads(self.body or b"null")


Handler = Callable[[Shelf, Call], Response]


class Dialect(Protocol):
    """What a vendor's sandbox tells the shared part."""

    routes: list[tuple[str, str, Handler]]
    sign_in: str | None  # the path whose POST is no write

    def refusal(self, status: int) -> Response:
        """Return the vendor's own body of a throttle (429), a 500 or a 503."""
        ...

    def row(self, kind: str, record: dict[str, Any]) -> Row:
        """Return a seed record as kept. Raises ValueError on one the vendor could not hold."""
        ...

    def guard(self, shelf: Shelf, call: Call) -> Response | None:
        """Return the vendor's refusal of a caller who is not signed in."""
        ...

    def finish(self, shelf: Shelf, response: Response) -> Response:
        """Add the headers every answer of the vendor carries."""
        ...


def build(path: Path, token: str, dialect: Dialect) -> Starlette:
    """Return the app of one vendor over its file, with the control routes under `/_sandbox`."""
    shelf = Shelf(path)
    control: list[tuple[str, str, Handler]] = [
        ("GET", "/_sandbox/state", lambda shelf, call: JSONResponse(shelf.state())),
        ("POST", "/_sandbox/reset", _reset),
        ("POST", "/_sandbox/faults", _arm),
        ("POST", "/_sandbox/records", lambda shelf, call: JSONResponse(load(shelf, dialect, call.json()))),
    ]
    routes = [Route(where, _control(shelf, token, run), methods=[verb]) for verb, where, run in control]
    routes += [Route(where, _vendor(shelf, dialect, run), methods=[verb]) for verb, where, run in dialect.routes]
    return Starlette(routes=routes)


async def _read(request: Request) -> Call:
    headers = {k.lower(): v for k, v in request.headers.items()}
    args = {k: str(v) for k, v in request.path_params.items()}
    return Call(request.method, request.url.path, args, dict(request.query_params), headers, await request.body())


def _control(shelf: Shelf, token: str, run: Handler) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        call = await _read(request)
        if not hmac.compare_digest(call.headers.get("x-sandbox-token", "").encode(), token.encode()):
            return JSONResponse({"error": "X-Sandbox-Token is missing or wrong"}, 403)
        try:
            with shelf.db:
                return run(shelf, call)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 400)

    return endpoint


def _vendor(shelf: Shelf, dialect: Dialect, run: Handler) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        call = await _read(request)
        with shelf.db:
            fault = shelf.take_fault(f"{call.method} {call.path}")
            if fault in ("throttle", "e503_before"):
                return dialect.finish(shelf, dialect.refusal(429 if fault == "throttle" else 503))
            answer = dialect.guard(shelf, call)
            if answer is None:
                answer = run(shelf, call)
                if call.method == "GET":
                    shelf.tally("reads")
                elif answer.status_code < 300 and call.path != dialect.sign_in:
                    shelf.tally("writes")
            answer = dialect.finish(shelf, answer)
        if fault == "timeout_after_commit":
            await asyncio.sleep(float(shelf.setting("hang_s", 3)))
            return dialect.refusal(503)
        return dialect.refusal(500) if fault == "e500_after" else answer

    return endpoint


def load(shelf: Shelf, dialect: Dialect, plan: dict[str, Any]) -> dict[str, int]:
    """
    Take `{"settings": {name: value}, "records": {kind: [record, ...]}}` whole or not at all; same id replaces.

    Returns the number of records per kind. Raises ValueError on a record the vendor could not hold.
    """
    records = plan.get("records", {})
    rows = {kind: [dialect.row(kind, record) for record in records[kind]] for kind in records}
    with shelf.db:
        for name, value in plan.get("settings", {}).items():
            shelf.db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, json.dumps(value)))
        for kind, several in rows.items():
            shelf.put(kind, several)
    return {kind: len(several) for kind, several in rows.items()}


def arm(shelf: Shelf, match: str, fault: str, times: int = 1) -> None:
    """Arm a fault for the next requests that start with `METHOD /path`. Raises ValueError on an unknown fault."""
    if fault not in FAULTS:
        raise ValueError(f"fault {fault!r} is none of {', '.join(FAULTS)}")
    with shelf.db:
        shelf.db.execute("INSERT INTO fault (match, fault, times) VALUES (?, ?, ?)", (match, fault, times))


def _reset(shelf: Shelf, call: Call) -> Response:
    shelf.reset()
    return JSONResponse({"reset": True})


def _arm(shelf: Shelf, call: Call) -> Response:
    arm(shelf, **call.json())
    return JSONResponse({"armed": True})
