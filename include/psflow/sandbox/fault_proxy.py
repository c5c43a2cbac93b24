"""
A small HTTP proxy that misbehaves when told to, for a vendor that is real and cannot be told.

Faults lie in a SQLite file that is read at every request. One request a connection: nothing is pooled, so an armed
fault hits exactly the request it names and no other. A fault that comes *after* waits for the vendor's whole answer,
so that the vendor has committed before anybody is lied to; one that lands late reaches the vendor only once the caller
has given up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import struct
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from psflow.sandbox import weather
from psflow.sandbox.shelf import Shelf

FAULTS = ("error_before", "error_after", "timeout_after_commit", "late_landing", "reset_after")
_LOST = ("model.account.invoice.create",)  # a lost answer costs most where a document is made
_WHERE = dict.fromkeys(FAULTS, _LOST) | {"error_before": (*_LOST, "model.party.party.create")}
_HEAD_LIMIT = 1 << 16
_NO_LINGER = struct.pack("ii", 1, 0)  # a close is then a reset


def arm(file: Path, match: str, fault: str, times: int = 1, hang_s: float = 10, skip: int = 0) -> None:
    """
    Arm a fault for the next requests whose JSON-RPC method, or `METHOD /path`, starts with `match`.

    `skip` of them go through before. `hang_s` bounds a time-out; it ends earlier when the caller gives up. Raises
    ValueError on an unknown fault.
    """
    fault = weather.NAMES.get(fault, fault)
    if fault not in FAULTS:
        raise ValueError(f"fault {fault!r} is none of {', '.join(FAULTS)}")
    shelf = Shelf(file)
    with closing(shelf.db), shelf.db:
        shelf.arm(match, fault, times, skip)
        shelf.db.execute("INSERT OR REPLACE INTO setting VALUES ('hang_s', ?)", (json.dumps(hang_s),))


def plan(file: Path, seed: str, each: int = weather.EACH, burst: int = 0) -> dict[str, int]:
    """Arm every fault (`weather.plan`), when the seed says; returns fault -> how often."""
    armed = weather.plan(_WHERE, seed, each, burst)
    shelf = Shelf(file)
    with closing(shelf.db), shelf.db:
        shelf.arm_all(armed)
    return weather.count(armed)


def state(file: Path) -> dict[str, Any]:
    """Return requests forwarded, faults injected by kind, and those of them that struck where invoices are made."""
    shelf = Shelf(file)
    with closing(shelf.db):
        lost = shelf.struck(*_LOST)
        tally = dict(shelf.db.execute("SELECT name, n FROM tally"))
    faults = {name.removeprefix("fault:"): n for name, n in tally.items() if name.startswith("fault:")}
    return {"requests": tally.get("requests", 0), "faults": faults, "on_invoices": lost}


def reset(file: Path) -> None:
    """Forget armed faults and counters."""
    shelf = Shelf(file)
    with closing(shelf.db), shelf.db:
        shelf.reset()


class Proxy:
    """Forwards to one port of this machine."""

    def __init__(self, file: Path, upstream: int) -> None:
        self.shelf = Shelf(file)
        self.upstream = upstream

    async def serve(self, port: int) -> None:
        """Listen on 127.0.0.1 until cancelled."""
        server = await asyncio.start_server(self._handle, "127.0.0.1", port, limit=_HEAD_LIMIT)
        async with server:
            await server.serve_forever()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await self._exchange(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(_length(head))
        with self.shelf.db:
            fault = self.shelf.take_fault(_name(head, body))
            self.shelf.tally("requests")
        if fault == "error_before":
            writer.write(_plain(503, "Service Unavailable"))
            return
        if fault == "late_landing":
            await self._gone(reader)
            await asyncio.sleep(float(self.shelf.setting("late_s", 0.5)))
        answer = await self._forward(head, body)
        match fault:
            case None:
                writer.write(answer)
            case "error_after":
                writer.write(_plain(500, "Internal Server Error"))
            case "reset_after":
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                writer.transport.abort()
            case "timeout_after_commit":
                await self._gone(reader)
                writer.transport.abort()
            case "late_landing":
                writer.transport.abort()

    async def _gone(self, reader: asyncio.StreamReader) -> None:
        """Wait until the caller gives up."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(reader.read(1), float(self.shelf.setting("hang_s", 10)))

    async def _forward(self, head: bytes, body: bytes) -> bytes:
        """Return the vendor's whole answer; a vendor that is not there is a 502."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            return _plain(502, "Bad Gateway")
        with closing(writer):
            writer.write(_once(head) + body)
            return await reader.read()


def _length(head: bytes) -> int:
    return int(_header(head, b"content-length") or 0)


def _header(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


def _once(head: bytes) -> bytes:
    """Ask the vendor to close after this answer: then the end of the stream is the end of the answer."""
    first, *lines = head.rstrip(b"\r\n").split(b"\r\n")
    kept = [line for line in lines if line.partition(b":")[0].strip().lower() not in (b"connection", b"keep-alive")]
    return b"\r\n".join([first, *kept, b"Connection: close", b"", b""])


def _name(head: bytes, body: bytes) -> str:
    """Return the JSON-RPC method of a request, else its HTTP method and path."""
    with suppress(ValueError, TypeError, KeyError):
        return str(json.loads(body)["method"])
    verb, path, *_ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return f"{verb} {path}"


def _plain(status: int, reason: str) -> bytes:
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(reason)}\r\n\r\n{reason}".encode()


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description="Forward HTTP on 127.0.0.1, with the faults that a file arms.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", type=int, required=True, help="port of the vendor on 127.0.0.1")
    parser.add_argument("--file", type=Path, required=True, help="SQLite file of faults and counts")
    given = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(Proxy(given.file, given.upstream).serve(given.port))


if __name__ == "__main__":
    main()
