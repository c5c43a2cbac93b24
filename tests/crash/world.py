"""
What the vendors hold and how they answer, one request after another, on the board's clock.

Nothing here uses what is under test. A profile makes ERP and PSA kind or unkind; faults strike requests by their number
or name; what was held back lands when its time has come.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import importlib
import json
import socket
import sqlite3
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from psflow.sandbox import vendor_app, weather
from psflow.sandbox.vendor_app import Call
from tests.crash import books, clock
from tests.crash.clock import Board
from tests.crash.profiles import Profile, times
from tests.crash.wire import key_of, patterns, read_call, written

SANDBOXES = ("salesforce", "kantata", "float")
VENDORS = (*SANDBOXES, "tryton")
_SETTINGS: dict[str, dict[str, Any]] = {
    "salesforce": {"client_id": "app", "client_secret": "swordfish"},
    "kantata": {"bearer": "swordfish"},
    "float": {"token": "swordfish"},
}
_NOT_TAKEN = b'{"errors": [{"type": "validation", "message": "Rate card is invalid"}]}'
Answer = tuple[int, dict[str, str], bytes]


class World:
    """The vendors' side; `serve` talks with workers, and with the harness over `line`."""

    def __init__(self, board: Board, line: Connection) -> None:
        dialects = {v: importlib.import_module(f"psflow.systems.{v}.sandbox").DIALECT for v in SANDBOXES}
        clock.install_in_sandboxes(board)
        self.board, self.line, self.profile, self.open = board, line, Profile(), 0
        folder = board.path.parent
        self.shelves = {v: vendor_app.Shelf(Path(folder / f"{board.path.name}.{v}")) for v in SANDBOXES}
        self.dialects, self.routes = dialects, {v: patterns(d.routes) for v, d in dialects.items()}
        self.clear()

    async def serve(self, listeners: dict[str, socket.socket]) -> None:
        """Answer until the harness hangs up."""
        servers = [await asyncio.start_server(self._talk(v), sock=s) for v, s in listeners.items()]
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.line.fileno(), self._obey, ended)
        await ended.wait()
        for server in servers:
            server.close()

    def _obey(self, ended: asyncio.Event) -> None:
        try:
            what, given = self.line.recv()
        except EOFError:
            ended.set()
            return
        if what == "settle":
            asyncio.get_running_loop().create_task(self._settle())
            return
        try:
            self.line.send((True, getattr(self, what)(*given)))
        except Exception as error:
            self.line.send((False, repr(error)))

    async def _settle(self) -> None:
        """Answer when every line that a dead worker left is read to its end."""
        for _ in range(3):  # a line may wait to be taken up while none is open
            await asyncio.sleep(0.0005)
            while self.open:
                await asyncio.sleep(0.0005)
        self.line.send((True, None))

    # -- what people and weather do

    def clear(self) -> None:
        """Forget everything but the logins."""
        for vendor, shelf in self.shelves.items():
            shelf.reset()
            vendor_app.load(shelf, self.dialects[vendor], {"settings": _SETTINGS[vendor]})
        self.books, self.refused = books.empty(), ""
        self.calm()

    def refuse(self, word: str) -> None:
        """Let the PSA take no project that holds this word; '' for none."""
        self.refused = word

    def calm(self) -> None:
        """Forget what is under way and what was armed."""
        self.late: list[tuple[float, str, Call]] = []
        self.remembered: dict[str, tuple[float, Answer]] = {}
        self.faults: dict[int | str, str] = {}
        self.broken, self.requests, self.struck = "", 0, 0

    def load(self, vendor: str, records: dict[str, list[dict[str, Any]]]) -> None:
        """Somebody enters or changes records by hand."""
        vendor_app.load(self.shelves[vendor], self.dialects[vendor], {"records": records})

    def behave(self, profile: Profile) -> None:
        """Become vendors of this kind."""
        self.profile, lag_ms = profile, 1000 * profile.lag * times(self.board.virtual)["search_lag_s"]
        for vendor in ("kantata", "float"):
            vendor_app.load(self.shelves[vendor], self.dialects[vendor], {"settings": {"search_lag_ms": lag_ms}})

    def arm(self, faults: dict[int | str, str], broken: str = "") -> None:
        """Let requests fail by their number or name; one whose path or body holds `broken` always does."""
        self.faults, self.broken = faults, broken

    def state(self) -> dict[str, Any]:
        """Return everything that is held, and how many faults struck."""
        wanted = {
            "salesforce": ("Opportunity",),
            "kantata": ("workspaces", "workspace_allocations", "time_entries", "expenses"),
            "float": ("projects", "tasks", "people"),
        }
        held = {v: {k: self.shelves[v].select(k, "true", [], "ORDER BY id") for k in ks} for v, ks in wanted.items()}
        return held | {"tryton": copy.deepcopy(self.books), "struck": self.struck}

    def land(self) -> None:
        """Let time pass until everything that is under way has landed."""
        self.board.to(max((due for due, *_ in self.late), default=0.0))
        self._land()

    def save(self) -> tuple[dict[str, bytes], books.Shelves, str]:
        """Return everything that is held, to be restored."""
        return {v: shelf.db.serialize() for v, shelf in self.shelves.items()}, copy.deepcopy(self.books), self.refused

    def restore(self, files: dict[str, bytes], kept: books.Shelves, refused: str) -> None:
        """Hold what was saved, and nothing under way."""
        self.refused = refused
        for vendor, file in files.items():
            source = sqlite3.connect(":memory:")
            source.deserialize(file[:18] + b"\1\1" + file[20:])  # a memory database has no write-ahead log
            source.backup(self.shelves[vendor].db)
            source.close()
        self.books = copy.deepcopy(kept)
        self.calm()

    # -- requests

    def _talk(self, vendor: str) -> Any:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.open += 1
            try:
                while True:
                    call = await read_call(reader)
                    answer = self._answer(vendor, call)
                    if answer is None:
                        writer.transport.abort()
                        return
                    writer.write(written(*answer))
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                self.open -= 1
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()

        return talk

    def _answer(self, vendor: str, call: Call) -> Answer | None:
        """Answer, or cut the line (None), as the weather is."""
        self.board.advance(0.001 if self.board.virtual else 0)
        self._land()
        self.requests += 1
        writes = call.method != "GET" and "oauth2" not in call.path
        named = f"{call.method} {call.path.rpartition('/')[2]}"
        fault = self.faults.pop(self.requests, "") or self.faults.pop(named, "")
        if self.broken and writes and self.broken.encode() in call.path.encode() + call.body:
            fault = "error_before"
        self.struck += bool(fault)
        if writes and (hold := self.board.hold_s):
            self.board.hold_s = 0
            self.late.append((self.board.now() + self._late(call, hold), vendor, call))
            return None
        if fault in weather.BEFORE:
            return self._refused(vendor, weather.BEFORE[fault])
        if fault == "late_landing" and writes:
            self._too_long()
            self.late.append((self.board.now() + self._late(call, 1.0), vendor, call))
            return None
        answer = self._done(vendor, call)
        if fault == "timeout_after_commit" and writes:
            self._too_long()
            return None
        if fault == "reset_after" and writes:
            return None
        return self._refused(vendor, 500) if fault == "error_after" and writes else answer

    def _late(self, call: Call, share: float) -> float:
        given = times(self.board.virtual)
        if self.profile.draft_late and b'"invoice_key"' in call.body and call.path.endswith("/documents"):
            return self.profile.draft_late * given["lease_s"]
        return share * self.profile.late * given["late_landing_s"]

    def _too_long(self) -> None:
        if self.board.virtual:
            self.board.advance(times(True)["deadline_s"])

    def _land(self) -> None:
        due = [entry for entry in self.late if entry[0] <= self.board.now()]
        self.late = [entry for entry in self.late if entry[0] > self.board.now()]
        with self.board.kept():
            for moment, vendor, call in sorted(due, key=lambda entry: entry[0]):
                self.board.at(moment)  # nobody asked since: it landed then, not now
                self._done(vendor, call)

    def _refused(self, vendor: str, status: int) -> Answer:
        if vendor == "tryton":
            return status, {}, b'{"error": "not now"}'
        response = self.dialects[vendor].refusal(status)
        return response.status_code, dict(response.headers), bytes(response.body)

    def _done(self, vendor: str, call: Call) -> Answer:
        """Apply a request, unless the vendor remembers its key."""
        key = key_of(vendor, call)
        keeps_s = self.profile.remembers * times(self.board.virtual)["lease_s"]
        if key and keeps_s and key in self.remembered and self.board.now() - self.remembered[key][0] < keeps_s:
            return self.remembered[key][1]
        answer = self._applied(vendor, call)
        if key and keeps_s and answer[0] < 300:
            self.remembered[key] = (self.board.now(), answer)
        return answer

    def _applied(self, vendor: str, call: Call) -> Answer:
        if vendor == "tryton":
            lag_s = self.profile.lag * times(self.board.virtual)["search_lag_s"]
            status, said = books.serve(self.books, call, self.board.now(), lag_s)
            return status, {"content-type": "application/json"}, json.dumps(said).encode()
        if self.refused and call.path.endswith("/workspaces") and self.refused.encode() in call.body:
            return 422, {}, _NOT_TAKEN
        shelf, dialect = self.shelves[vendor], self.dialects[vendor]
        for verb, pattern, run in self.routes[vendor]:
            if verb == call.method and (found := pattern.fullmatch(call.path)):
                asked = replace(call, args=found.groupdict())
                with shelf.db:
                    response = vendor_app._done(shelf, dialect, run, asked)
                return response.status_code, dict(response.headers), bytes(response.body)
        return 404, {}, b"{}"
