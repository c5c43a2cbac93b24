"""
The PSA as a program: lists of keyed maps, paged by limit and offset, over HTTP on this machine.

`python -m bench.server FOLDER` serves each feed of FOLDER below its own name (/all/api/v1/time_entries) and prints
where. Pages are cut from files that are ready: a vendor's own time is no part of what is measured.
"""

from __future__ import annotations

import asyncio
import mmap
import sys
from array import array
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec

from bench.firm import ROLES

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_MOST = 200  # records a page, as the vendor documents it


class Feed:
    """The files of one feed, read where they lie."""

    def __init__(self, folder: Path, name: str) -> None:
        self._begins = array("Q")
        self._begins.frombytes((folder / f"{name}.index").read_bytes())
        with (folder / f"{name}.records").open("rb") as file:
            self._records = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def page(self, offset: int, limit: int) -> bytes:
        """Return an answer as the vendor gives it: `results` in order, the records in a map beside it."""
        last = len(self._begins) - 1
        begins = self._begins[min(offset, last) : min(offset + limit, last) + 1]
        held = self._records[begins[0] : begins[-1]].removesuffix(b",")
        keys = (self._records[begin + 1 : self._records.find(b'"', begin + 1)] for begin in begins[:-1])
        results = b",".join(b'{"key":"time_entries","id":"' + key + b'"}' for key in keys)
        return b'{"count":%d,"results":[%b],"time_entries":{%b}}' % (last, results, held)


def _roles() -> bytes:
    roles = {str(number): {"id": str(number), "name": name} for number, name in enumerate(ROLES)}
    results = [{"key": "roles", "id": key} for key in roles]
    return msgspec.json.encode({"count": len(roles), "results": results, "roles": roles})


class Vendor(asyncio.Protocol):
    """One connection that stays open."""

    folder: Path
    feeds: dict[str, Feed]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._waiting = transport, b""

    def data_received(self, data: bytes) -> None:
        *heads, self._waiting = (self._waiting + data).split(b"\r\n\r\n")
        for head in heads:
            body = self._answer(head.split(b" ", 2)[1].decode())
            self._transport.writelines((_HEAD % len(body), body))

    def _answer(self, target: str) -> bytes:
        parts = urlsplit(target)
        name, asked = parts.path.split("/")[1], parse_qs(parts.query)
        if parts.path.endswith("/roles"):
            return _roles()
        if name not in self.feeds:
            self.feeds[name] = Feed(self.folder, name)
        return self.feeds[name].page(int(asked["offset"][0]), min(int(asked["limit"][0]), _MOST))


async def _serve(folder: Path) -> None:
    Vendor.folder, Vendor.feeds = folder, {}
    server = await asyncio.get_running_loop().create_server(Vendor, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
