"""Secrets that are planted, the ways a text may be written, and every place that psflow leaves text in."""

from __future__ import annotations

import html
import json
import re
import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import psycopg

ENCODINGS = ("plain", "url", "base64", "basic", "json", "hex", "html", "repr", "turned or split")
TABLES: dict[str, tuple[str, dict[str, str]]] = {  # where a leak is planted: its column, and what a check asks for
    "ops.exceptions": ("message", {"state": "open"}),
    "ops.effect": ("last_error", {"state": "refused"}),
    "ops.audit": ("detail", {"mac": "0" * 64}),
    "raw.record": ("payload", {}),
}
METADATA = {"xcom": "value", "rendered_task_instance_fields": "rendered_fields", "log": "extra", "hitl_detail": "body"}
_NEEDED = """
select attname, format_type(atttypid, null) from pg_attribute
where attrelid = %s::regclass and attnum > 0 and not attisdropped and attnotnull and not atthasdef
"""
_DUMMY = {"bigint": "9999", "integer": "9999", "numeric": "9999", "boolean": "t", "jsonb": "{}", "date": "2026-01-01",
          "timestamp with time zone": "2026-01-01"}  # fmt: skip
_BACKSLASH = re.compile(r"\\(.)")


def written(secret: str, login: str) -> dict[str, list[str]]:
    """Return encoding -> the texts that a secret becomes."""
    half = len(secret) // 2
    return {
        "plain": [secret],
        "url": [quote(secret, safe=""), quote(secret)],
        "base64": [b64encode(secret.encode()).decode().rstrip("=")],
        "basic": [b64encode(pair.encode()).decode().rstrip("=") for pair in (f"{login}:{secret}", f"{secret}:x")],
        "json": [json.dumps(secret)[1:-1], json.dumps(json.dumps(secret))[3:-3]],
        "hex": [secret.encode().hex(), secret.encode().hex().upper()],
        "html": [html.escape(secret), html.escape(secret, quote=False)],
        "repr": [repr(secret)[1:-1], repr(secret.encode())[2:-1]],
        "turned or split": [secret[::-1], *(f"{secret[:half]}{cut}{secret[half:]}" for cut in ("\n", "\\n", " "))],
    }


def hits(places: Mapping[str, str], secrets: Mapping[str, tuple[str, str]]) -> list[tuple[str, str, str]]:
    """
    Return (place, secret, encoding) of each that is found; `secrets` is name -> (secret, its login).

    Each place is read as it is and without one layer of backslashes, since JSON may be written as JSON again.
    """
    forms = {name: written(*each) for name, each in secrets.items()}
    return [
        (place, name, encoding)
        for place, text in places.items()
        for read in [(text, _BACKSLASH.sub(r"\1", text))]
        for name, encodings in forms.items()
        for encoding, texts in encodings.items()
        if any(each in one for each in texts for one in read)
    ]


def metadata(home: Path) -> dict[str, str]:
    """Return table -> all its values of Airflow's metadata database: XCom, rendered fields, notes, required actions."""
    with sqlite3.connect(home / "airflow.db") as db:
        tables = [name for (name,) in db.execute("select name from sqlite_master where type = 'table'")]
        return {f"airflow {name}": _values(db.execute(f'select * from "{name}"')) for name in tables}


def runs(home: Path) -> int:
    """Return how many DAG runs there were."""
    with sqlite3.connect(home / "airflow.db") as db:
        return int(db.execute("select count(*) from dag_run").fetchone()[0])


def business(url: str) -> dict[str, str]:
    """Return table -> all its values as text: audit, effects, exceptions, payloads, everything."""
    with psycopg.connect(url) as db:
        tables = db.execute(
            "select quote_ident(table_schema) || '.' || quote_ident(table_name), "
            "string_agg(quote_ident(column_name) || '::text', ', ' order by ordinal_position) "
            "from information_schema.tables join information_schema.columns using (table_schema, table_name) "
            "where table_type = 'BASE TABLE' and table_schema in ('raw', 'core', 'billing', 'finance', 'ops') "
            "group by 1"
        ).fetchall()
        return {
            name: _values(db.execute(f"select {columns} from {name}"))  # type: ignore[call-overload]
            for name, columns in tables
        }


def _values(rows: Iterable[Sequence[object]]) -> str:
    return "\n".join(_text(value) for row in rows for value in row if value is not None)


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def plant_in_business(url: str, text: str) -> None:
    """Write a text into a row of each of `TABLES`, past every rule of theirs but their types."""
    with psycopg.connect(url) as db:
        db.execute("set session_replication_role = replica")
        for table, (column, filled) in TABLES.items():
            needed = db.execute(_NEEDED, [table]).fetchall()
            row = {name: _DUMMY.get(kind, "x") for name, kind in needed} | filled
            row[column] = json.dumps(text) if column in ("payload", "detail") else text
            columns, values = ", ".join(row), ", ".join(["%s"] * len(row))
            db.execute(f"insert into {table} ({columns}) overriding system value values ({values})", [*row.values()])  # type: ignore[call-overload]


def plant_in_airflow(home: Path, text: str) -> None:
    """Write a text into a row of each of `METADATA`."""
    with sqlite3.connect(home / "airflow.db") as db:
        for table, column in METADATA.items():
            columns = db.execute(f"pragma table_info({table})").fetchall()
            needed = [name for _, name, _, must, default, key in columns
                      if must and default is None and name != column and (name, key) != ("id", 1)]  # fmt: skip
            marks = ", ".join("?" * (len(needed) + 1))
            row = [*("7" * len(needed)), text]
            db.execute(f"insert into {table} ({', '.join([*needed, column])}) values ({marks})", row)


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
        body: object = {
            "errors": [told],
            "error": told | {"login": list(self._logins()), "headers": dict(self.headers)},
        }
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
