"""As much of HTTP/1.1 as a client of ours speaks, and the key by which a vendor knows a create again."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from psflow.sandbox.vendor_app import Call


async def read_call(reader: asyncio.StreamReader) -> Call:
    """Read one request whole. Raises IncompleteReadError when the other end is gone."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    return Call(method, unquote(parts.path), {}, dict(parse_qsl(parts.query, keep_blank_values=True)), headers, body)


def written(status: int, headers: dict[str, str], body: bytes) -> bytes:
    """Return an answer as it goes over the line."""
    kept = {name.lower(): value for name, value in headers.items()} | {"content-length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in kept.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode("latin-1") + body


def key_of(vendor: str, call: Call) -> str:
    """Return the key under which a vendor with unique ids knows a create again; '' for anything else."""
    if call.method != "POST" or vendor not in ("kantata", "tryton"):
        return ""
    given = json.loads(call.body or b"{}")
    if vendor == "tryton":
        return f"{call.path} {given['key']}" if call.path.count("/") == 2 else ""
    body: dict[str, Any] = next(iter(given.values()), {})
    reference = (body.get("external_reference") or {}).get("service_model_ref") if isinstance(body, dict) else None
    return f"{call.path} {reference}" if reference else ""


def patterns(routes: list[tuple[str, str, Any]]) -> list[tuple[str, re.Pattern[str], Any]]:
    """Return routes with their paths as expressions."""
    return [(verb, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)), run) for verb, path, run in routes]
