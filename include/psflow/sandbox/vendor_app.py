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
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from psflow.sandbox import weather
from psflow.sandbox.shelf import Row, Shelf

__all__ = ["Call", "Dialect", "Handler", "Row", "Shelf", "arm", "build", "load", "plan", "shows_from"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request, its body read whole, and the fault that strikes it."""

    method: str
    path: str
    args: dict[str, str]
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    fault: str | None = None

    def json(self) -> Any:
        """Return the body as JSON. Raises ValueError."""
        return json.loads(self.body or b"null")


Handler = Callable[[Shelf, Call], Response]


class Dialect(Protocol):
    """
    What a vendor's sandbox tells the shared part.

    It may also have `weather`: fault -> the matches where it strikes, for faults that not every vendor can make
    (`slow_index`, `expired_token`, `partial_success` where records go out in batches) or that strike elsewhere; ()
    means never. And `read_only`: psflow writes nothing there, so no write of its can be lost.
    """

    routes: list[tuple[str, str, Handler]]
    sign_in: str | None  # the path whose POST is no write

    def refusal(self, status: int) -> Response:
        """Return the vendor's own body of a throttle (429), a dead token (401), a 500 or a 503."""
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
        ("POST", "/_sandbox/plan", lambda shelf, call: JSONResponse(plan(shelf, dialect, **call.json()))),
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
        kind = "read" if call.method == "GET" or call.path == dialect.sign_in else "write"
        with shelf.db:
            fault = shelf.take_fault(f"{call.method} {call.path}", kind)
            if fault in weather.BEFORE:
                return dialect.finish(shelf, dialect.refusal(weather.BEFORE[fault]))
        if fault == "late_landing":  # longer than the caller waits, shorter than the vendor may still take
            await asyncio.sleep(float(shelf.setting("late_s", 2.5)))
        with shelf.db:
            answer = _done(shelf, dialect, run, replace(call, fault=fault))
        if fault == "timeout_after_commit":
            await asyncio.sleep(float(shelf.setting("hang_s", 3)))
        return dialect.refusal(weather.AFTER[fault]) if fault in weather.AFTER else answer

    return endpoint


def _done(shelf: Shelf, dialect: Dialect, run: Handler, call: Call) -> Response:
    answer = dialect.guard(shelf, call)
    if answer is None:
        answer = run(shelf, call)
        if call.method == "GET":
            shelf.tally("reads")
        elif answer.status_code < 300 and call.path != dialect.sign_in:
            shelf.tally("writes")
    return dialect.finish(shelf, answer)


def shows_from(shelf: Shelf, call: Call) -> float:
    """Return the time from which a search shows what this call makes."""
    return time.time() + (float(shelf.setting("index_s", 0.4)) if call.fault == "slow_index" else 0)


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
    """Arm a fault for the next requests that match (`weather` says how). Raises ValueError on an unknown fault."""
    if fault not in weather.NAMES:
        raise ValueError(f"fault {fault!r} is none of {', '.join(weather.NAMES)}")
    with shelf.db:
        shelf.arm(match, weather.NAMES[fault], times)


def plan(shelf: Shelf, dialect: Dialect, seed: str, each: int = weather.EACH, burst: int = 0) -> dict[str, int]:
    """Arm every fault this vendor can make (`weather.plan`); the seed decides when. Returns fault -> how often."""
    where = weather.usual(writes=not getattr(dialect, "read_only", False)) | getattr(dialect, "weather", {})
    armed = weather.plan({fault: places for fault, places in where.items() if places}, seed, each, burst)
    with shelf.db:
        shelf.arm_all(armed)
    return weather.count(armed)


def _reset(shelf: Shelf, call: Call) -> Response:
    shelf.reset()
    return JSONResponse({"reset": True})


def _arm(shelf: Shelf, call: Call) -> Response:
    arm(shelf, **call.json())
    return JSONResponse({"armed": True})
