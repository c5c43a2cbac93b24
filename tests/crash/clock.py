"""
One clock for Postgres, workers and vendors, in a file that all of them read.

Virtual time stands still unless somebody sleeps, waits for a vendor or asks one: so one seed is one run anywhere.
Postgres finds `clock.clock_timestamp()` before its own, because the schema `clock` comes first in the search path.
"""

from __future__ import annotations

import datetime as dt
import mmap
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

SEARCH_PATH = "clock,pg_catalog,public"
_START = dt.datetime(2026, 11, 2, 8, tzinfo=dt.UTC)
_DIGITS = 17  # microseconds since 1970 as text, which Postgres reads
_STEP, _HOLD, _SIZE = 24, 32, 64  # places in the board behind the time
_MODULES = ("psflow.store.", "psflow.flows.", "psflow.contracts.", "psflow.systems.", "psflow.sandbox.vendor_app")


class Board:
    """What a killed process leaves behind for the next: the time, the steps taken, and whether a request is held."""

    def __init__(self, path: Path, virtual: bool = True) -> None:
        self.path, self.virtual = path, virtual
        if not path.exists():
            path.write_bytes(bytes(_SIZE))
            path.chmod(0o644)  # Postgres may run as another user
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _SIZE)

    def reset(self) -> None:
        """Begin a run: the first morning, no step taken, nothing held."""
        self._map[:_SIZE] = bytes(_SIZE)
        self._set(_START.timestamp())

    def now(self) -> float:
        """Return seconds since 1970."""
        return int(self._map[:_DIGITS]) / 1e6 if self.virtual else time.time()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if self.virtual:
            self._set(self.now() + max(0.0, seconds))
        else:
            time.sleep(max(0.0, seconds))

    def to(self, moment: float) -> None:
        """Let time pass until then."""
        self.advance(moment - self.now())

    def at(self, moment: float) -> None:
        """Make it that moment, within `kept`."""
        if self.virtual:
            self._set(moment)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Make it the same time afterwards."""
        now = self.now()
        yield
        self.at(now)

    def step(self) -> int:
        """Count one more crash point and return which of this run it is, from 1."""
        (taken,) = struct.unpack_from("q", self._map, _STEP)
        struct.pack_into("q", self._map, _STEP, taken + 1)
        return int(taken) + 1

    @property
    def hold_s(self) -> float:
        """How long the vendors let the next write lie before they apply it; 0 for not at all."""
        return float(struct.unpack_from("d", self._map, _HOLD)[0])

    @hold_s.setter
    def hold_s(self, seconds: float) -> None:
        struct.pack_into("d", self._map, _HOLD, seconds)

    def _set(self, moment: float) -> None:
        self._map[:_DIGITS] = b"%017d" % round(moment * 1e6)


def url(address: str, role: str | None = None, **settings: str) -> str:
    """Return a database URL whose sessions run on the board's clock."""
    options = {"search_path": SEARCH_PATH} | settings | ({"role": role} if role else {})
    words = "".join(f" -c {name}={value}" for name, value in options.items())
    return f"{address}?options={quote(words.strip())}"


def install_in_postgres(address: str, board: Board) -> None:
    """Make the schema `clock` in an empty database, as a superuser: what is made after it goes by that clock."""
    moment = "pg_catalog.clock_timestamp()"
    if board.virtual:
        moment = f"to_timestamp(pg_read_file('{board.path}', 0, {_DIGITS})::numeric / 1000000)"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("create schema clock")
        for name in ("clock_timestamp", "now"):
            body = f"create function clock.{name}() returns timestamptz language sql volatile security definer "
            body += f"set search_path = pg_catalog as $$ select {moment} $$"
            connection.execute(sql.SQL(body))  # type: ignore[arg-type]
        connection.execute("grant usage on schema clock to public")


def install_in_workers(board: Board) -> None:
    """Let the package's modules that wait or measure do so on the board."""
    if board.virtual:
        clock = ModuleType("time")
        clock.monotonic, clock.time, clock.sleep = board.now, board.now, board.advance  # type: ignore[attr-defined]
        for name, module in list(sys.modules.items()):
            if name.startswith(_MODULES) and getattr(module, "time", None) is time:
                module.time = clock  # type: ignore[attr-defined]


def install_in_sandboxes(board: Board) -> None:
    """Let the vendors' sandboxes stamp and age their records by the board."""

    class Moment(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:
            return dt.datetime.fromtimestamp(board.now(), tz)

    install_in_workers(board)
    if board.virtual:
        days = ModuleType("datetime")
        vars(days).update({name: value for name, value in vars(dt).items() if not name.startswith("__")})
        days.datetime = Moment  # type: ignore[misc, assignment]
        modules: dict[str, Any] = dict(sys.modules)
        for name, module in modules.items():
            if name.startswith("psflow.systems.") and ".sandbox" in name and getattr(module, "dt", None) is dt:
                module.dt = days
