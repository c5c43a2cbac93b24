"""
Random edits of the audit by the owner of its database: each must be found (`make tamper RUNS=1000 SEED=1`).

An audit of some hundred rows is edited inside a transaction of its owner, verified there and rolled back. So that
"found" means something, the untouched chain must verify between edits, and what is cut off its end must pass unseen
as soon as the anchor is left out.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from psflow.sandbox.postgres import OWN_SERVER, Postgres, Server
from psflow.store import audit
from psflow.store.connection import Store
from psflow.store.seal import Seal
from psflow.warehouse import migrate
from tests.proof import report

ROWS = 300
KEY = "of-the-tamper-proof-" + "0123456789abcdef" * 2


def main() -> int:
    """Run the proof and return its exit code."""
    runs, seed = int(os.environ.get("RUNS") or 1000), int(os.environ.get("SEED") or 1)
    with tempfile.TemporaryDirectory(prefix="psflow-tamper-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root the server runs as `nobody`, who must get here
        server = Server(folder, own) if (own := os.environ.get(OWN_SERVER)) else Postgres(folder / "pg", durable=False)
        server.start()
        try:
            return _prove(server, Seal(KEY, folder / "anchor"), runs, random.Random(seed), seed)
        finally:
            if isinstance(server, Postgres):
                server.remove()


def _prove(server: Server, key: Seal, runs: int, chance: random.Random, seed: int) -> int:
    database = f"psflow_tamper_{os.getpid()}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"create database {database}")  # type: ignore[call-overload]
        try:
            url = server.url(database)
            migrate.upgrade(url)
            with Store.open(url, "proof", key) as store:
                _fill(store, chance)
            with psycopg.connect(url, row_factory=dict_row) as connection:
                store = Store(connection, key)
                figures = _edit_all(connection, store, key, runs, chance)
        finally:
            admin.execute(f"drop database {database} with (force)")  # type: ignore[call-overload]
    ok = figures["found"] == figures["runs"] and not figures["false_alarms"]
    has_teeth = figures["cuts_unseen_without_anchor"] == figures["cuts"]
    return report.close("tamper", {**figures, "rows": ROWS, "seed": seed}, ok and has_teeth)


def _fill(store: Store, chance: random.Random) -> None:
    while (written := store.value("select count(*) from ops.audit")) < ROWS:
        with store.transaction("tamper.fill"):
            for number in range(written, min(ROWS, written + chance.randint(1, 5))):
                detail: dict[str, str | int | list[str] | None]
                detail = {"attempt": chance.randint(1, 8), "external_id": str(number), "fields": ["name", "Zoë"]}
                audit.write(store, chance.choice(("effect.done", "effect.dead")), f"effect {number}", "P-101", detail)


def _edit_all(
    connection: psycopg.Connection[Any], store: Store, key: Seal, runs: int, chance: random.Random
) -> dict[str, Any]:
    found, missed, alarms, kinds = 0, list[str](), 0, Counter[str]()
    unseen, cuts, names = 0, 0, sorted(EDITS, key=lambda name: name != "cut")  # even a short run has its control
    for number in range(runs):
        kind = names[number % len(names)]
        kinds[kind] += 1
        with connection.transaction(force_rollback=True):
            statement, parameters = EDITS[kind](chance)
            changed = connection.execute(statement, parameters).rowcount
            if not changed:
                raise AssertionError(f"run {number}: {kind} changed nothing: {parameters}")
            if audit.verify(store, key).broken:
                found += 1
            else:
                missed.append(f"run {number}: {kind} {parameters}")
            if kind == "cut":
                cuts += 1
                unseen += audit.verify(store, Seal(KEY)).broken is None
        if number % 50 == 0:
            alarms += audit.verify(store, key) != audit.Verdict(ROWS, _head(store))
        connection.rollback()
    print("\n".join(missed[:5]), end="\n" if missed else "")
    return {"runs": runs, "found": found, "kinds": len(kinds), "false_alarms": alarms, "cuts": cuts,
            "cuts_unseen_without_anchor": unseen}  # fmt: skip


def _head(store: Store) -> str:
    end = audit.head(store)
    return end.mac if end else ""


Edit = Callable[[random.Random], tuple[LiteralString, dict[str, Any]]]


def _row(chance: random.Random) -> int:
    return chance.randint(1, ROWS)


def _two(chance: random.Random) -> dict[str, int]:
    a, b = chance.sample(range(1, ROWS + 1), 2)
    return {"a": a, "b": b}


EDITS: dict[str, Edit] = {
    "actor": lambda c: ("update ops.audit set actor = actor || '2' where audit_id = %(n)s", {"n": _row(c)}),
    "action": lambda c: ("update ops.audit set action = 'effect.refused' where audit_id = %(n)s", {"n": _row(c)}),
    "subject": lambda c: ("update ops.audit set subject = subject || ' ' where audit_id = %(n)s", {"n": _row(c)}),
    "moment": lambda c: (
        "update ops.audit set at = at + make_interval(secs => %(s)s) where audit_id = %(n)s",
        {"n": _row(c), "s": c.choice((0.000001, -1, 86400))},
    ),
    "attempt": lambda c: (
        "update ops.audit set detail = jsonb_set(detail, '{attempt}', to_jsonb((detail ->> 'attempt')::int + %(by)s)) "
        "where audit_id = %(n)s",
        {"n": _row(c), "by": c.randint(1, 9)},
    ),
    "field left out": lambda c: (
        "update ops.audit set detail = detail - 'external_id' where audit_id = %(n)s", {"n": _row(c)},
    ),
    "field put in": lambda c: (
        "update ops.audit set detail = detail || '{\"by\": \"me\"}' where audit_id = %(n)s", {"n": _row(c)},
    ),
    "mac": lambda c: (
        "update ops.audit set mac = encode(sha256(mac::bytea), 'hex') where audit_id = %(n)s", {"n": _row(c)},
    ),
    "mac taken away": lambda c: ("update ops.audit set mac = null where audit_id >= %(n)s", {"n": _row(c)}),
    "many rows": lambda c: (
        "update ops.audit set actor = 'P-666' where audit_id between %(n)s and %(n)s + 20", {"n": _row(c)},
    ),
    "row taken out": lambda c: (
        "delete from ops.audit where audit_id = %(n)s", {"n": c.randint(1, ROWS - 1)},
    ),
    "first rows taken out": lambda c: (
        "delete from ops.audit where audit_id <= %(n)s", {"n": c.randint(1, ROWS - 1)},
    ),
    "cut": lambda c: ("delete from ops.audit where audit_id >= %(n)s", {"n": _row(c)}),
    "rows swapped": lambda c: (
        "update ops.audit as one set (at, actor, action, subject, detail, mac) "
        "= (other.at, other.actor, other.action, other.subject, other.detail, other.mac) from ops.audit other "
        "where (one.audit_id, other.audit_id) in ((%(a)s, %(b)s), (%(b)s, %(a)s))",
        _two(c),
    ),
    "row copied over another": lambda c: (
        "update ops.audit as one set (at, actor, action, subject, detail, mac) "
        "= (other.at, other.actor, other.action, other.subject, other.detail, other.mac) from ops.audit other "
        "where one.audit_id = %(a)s and other.audit_id = %(b)s",
        _two(c),
    ),
    "row put before": lambda c: (
        "insert into ops.audit select %(at)s, at, actor, action, subject, detail, mac from ops.audit "
        "where audit_id = %(n)s",
        {"n": _row(c), "at": -c.randint(0, 5)},
    ),
    "row put behind": lambda c: (
        "insert into ops.audit select %(at)s, at, actor, action, subject, detail, mac from ops.audit "
        "where audit_id = %(n)s",
        {"n": _row(c), "at": ROWS + 1},
    ),
    "closed up": lambda c: (
        "with cut as (select audit_id as gone from ops.audit where audit_id = %(n)s) "
        "update ops.audit as one set at = next.at, actor = next.actor, action = next.action, subject = next.subject, "
        "detail = next.detail, mac = next.mac from cut, ops.audit next "
        "where one.audit_id >= gone and next.audit_id = one.audit_id + 1",
        {"n": c.randint(1, ROWS - 1)},
    ),
}  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
