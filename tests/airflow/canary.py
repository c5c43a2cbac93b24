"""Secrets that are planted, the ways a text may be written, and every place that psflow leaves text in."""

from __future__ import annotations

import html
import json
import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import psycopg

ENCODINGS = ("plain", "url", "base64", "basic", "json", "hex", "html", "repr", "turned or split")


def written(secret: str, login: str) -> dict[str, list[str]]:
    """Return encoding -> the texts that a secret becomes."""
    half = len(secret) // 2
    return {
        "plain": [secret],
        "url": [quote(secret, safe=""), quote(secret)],
        "base64": [b64encode(secret.encode()).decode().rstrip("=")],
        "basic": [b64encode(f"{pair}".encode()).decode().rstrip("=") for pair in (f"{login}:{secret}", f"{secret}:x")],
        "json": [json.dumps(secret)[1:-1], json.dumps(json.dumps(secret))[3:-3]],
        "hex": [secret.encode().hex(), secret.encode().hex().upper()],
        "html": [html.escape(secret), html.escape(secret, quote=False)],
        "repr": [repr(secret)[1:-1], repr(secret.encode())[2:-1]],
        "turned or split": [secret[::-1], *(f"{secret[:half]}{cut}{secret[half:]}" for cut in ("\n", "\\n", " "))],
    }


def hits(places: Mapping[str, str], secrets: Mapping[str, tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Return (place, secret, encoding) of each that is found; `secrets` is name -> (secret, its login)."""
    return [
        (place, name, encoding)
        for place, text in places.items()
        for name, (secret, login) in secrets.items()
        for encoding, texts in written(secret, login).items()
        if any(each in text for each in texts)
    ]


def metadata(home: Path) -> str:
    """Return all of Airflow's metadata database: XCom, rendered fields, notes, required actions, connections."""
    with sqlite3.connect(home / "airflow.db") as db:
        return "\n".join(str(line) for line in db.iterdump())


def business(url: str) -> dict[str, str]:
    """Return table -> all its rows as text: audit, effects, exceptions, dead letters, payloads, everything."""
    with psycopg.connect(url) as db:
        tables = db.execute(
            "select schemaname || '.' || tablename from pg_tables "
            "where schemaname in ('raw', 'core', 'billing', 'finance', 'ops')"
        ).fetchall()
        return {
            name: "\n".join(str(row[0]) for row in db.execute(f"select of::text from {name} of"))  # type: ignore[call-overload]
            for (name,) in tables
        }


def logs(home: Path) -> str:
    """Return all files of the log folder."""
    return "\n".join(p.read_text(errors="replace") for p in sorted((home / "logs").rglob("*")) if p.is_file())


class Parrot(ThreadingHTTPServer):
    """
    A vendor that answers `status` and repeats what it was sent: headers, decoded logins, form, JSON, path.

    It hands out `token` to whoever signs in, as an access token of OAuth and as a session of Tryton.
    """

    daemon_threads = True

    def __init__(self, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Repeats)
        self.token = token
        self.status = 500
        self.asked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Repeats(BaseHTTPRequestHandler):
    server: Parrot

    def _answer(self) -> None:
        self.server.asked += 1
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
        told = {"message": f"bad request from {self.headers.get('Authorization')}", "sent": sent, "path": self.path}
        body: object = {"error": told | {"login": list(self._logins()), "headers": dict(self.headers)}}
        status = self.server.status
        if self.path.endswith("/oauth2/token") and status != 400:
            status, body = 200, {"access_token": self.server.token, "instance_url": self.server.url}
        elif "common.db.login" in sent and status != 400:
            status, body = 200, {"id": 1, "result": [1, self.server.token]}
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Error-Message", str(self.headers.get("Authorization")))
        if status == 308:
            self.send_header("Location", f"{self.server.url}/elsewhere?{self.headers.get('Authorization')}")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def _logins(self) -> Iterator[str]:
        with suppress(ValueError, IndexError):
            yield b64decode(self.headers["Authorization"].split()[1]).decode()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

    def log_message(self, *_: object) -> None:
        """Say nothing."""
