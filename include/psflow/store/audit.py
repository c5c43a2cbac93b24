"""
Who did what: an insert-only chain that its reader can check, whoever owns the database.

`write` notes an entry; the transaction that keeps it seals it as its last act, under a lock that nothing is waited for
behind. `verify` recomputes every MAC and holds the chain against the heads that are anchored outside. How: store/seal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg.rows import DictRow

from psflow.errors import ConfigurationError
from psflow.store.seal import KEY, Detail, Entry, Head, Seal, anchored

if TYPE_CHECKING:
    import psycopg

    from psflow.store.connection import Store

_BEGUN = "audit.begun"
_CHUNK = 10_000


class Verdict(NamedTuple):
    """What `verify` found: how many rows hold, the MAC of the last one, and why the next does not, if so."""

    rows: int
    head: str
    broken: str | None = None


def write(store: Store, action: str, subject: str, actor: str | None = None, detail: Detail | None = None) -> None:
    """Say that `actor` (the database role without one) did this, in the caller's transaction."""
    store.note(Entry(action, subject, actor, detail or {}))


def seal(connection: psycopg.Connection[DictRow], seal: Seal | None, entries: Sequence[Entry]) -> Head | None:
    """
    Append entries to the chain and return its head: the last act of a transaction, called by the store alone.

    Raises ConfigurationError without a key: what cannot be sealed is not kept, and neither is what it tells of.
    """
    if not entries:
        return None
    if seal is None:
        raise ConfigurationError(
            "the audit has no key, so nothing that it must tell of can be kept: add the connection psflow_audit "
            f"({KEY} outside Airflow) with a random password of at least 32 characters"
        )
    end = connection.execute("select * from ops.audit_head()").fetchone() or {}
    if end["audit_id"] and end["mac"] is None:  # the first rows of an older version
        entries = [Entry(_BEGUN, "rows before", None, {"sha256": _digest(_unsealed(connection))}), *entries]
    before, last, rows = end["mac"] or "", end["audit_id"] or 0, list[dict[str, Any]]()
    for number, entry in enumerate(entries, last + 1):
        actor = entry.actor or end["role"]
        before = seal.mac(before, number, end["at_s"], actor, entry.action, entry.subject, entry.detail)
        row = {"audit_id": number, "actor": actor, "action": entry.action, "subject": entry.subject}
        rows.append(row | {"detail": entry.detail, "mac": before})
    connection.execute(_INSERT, {"at": end["at"], "rows": json.dumps(rows)})
    return Head(last + len(entries), before)


_INSERT = """
insert into ops.audit (audit_id, at, actor, action, subject, detail, mac)
select audit_id, %(at)s, actor, action, subject, detail, mac
from jsonb_to_recordset(%(rows)s::jsonb)
    as sealed (audit_id bigint, actor text, action text, subject text, detail jsonb, mac text)
"""
_READ = """
select audit_id, extract(epoch from at)::text as at_s, actor, action, subject, detail, mac from ops.audit
where audit_id > %(after)s order by audit_id, mac limit %(limit)s
"""
_UNSEALED = """
select audit_id, extract(epoch from at)::text as at_s, actor, action, subject, detail from ops.audit
where mac is null order by audit_id
"""


def verify(store: Store, seal: Seal) -> Verdict:
    """Recompute the chain and hold it against the anchored heads; ends at the first row that is not as written."""
    heads = anchored(seal.anchor) if seal.anchor else []  # before the rows: what is appended meanwhile is no break
    macs = {head.audit_id: head.mac for head in heads}
    if len(macs) != len(set(heads)):
        return Verdict(0, "", "the anchor has two heads of one length: the chain was cut off and grown anew")
    rows, before, old = 0, "", list[dict[str, Any]]()
    for row in _rows(store):
        if why := _wrong(seal, row, rows, before, old) or _unlike(macs.get(row["audit_id"]), row):
            return Verdict(rows, before, f"row {rows + 1}: {why}")
        if row["mac"] is None:
            old.append(row)
        rows, before = row["audit_id"], row["mac"] or ""
    if heads and heads[-1].audit_id > rows:
        return Verdict(
            rows, before, f"row {rows + 1}: is missing, and so is all up to anchored row {heads[-1].audit_id}"
        )
    return Verdict(rows, before)


def head(store: Store) -> Head | None:
    """Return the end of the chain, None while it is empty."""
    found = store.row("select audit_id, mac from ops.audit where mac is not null order by audit_id desc limit 1")
    return Head(found["audit_id"], found["mac"]) if found else None


def _rows(store: Store) -> Iterator[dict[str, Any]]:
    after = -(2**62)
    while found := store.rows(_READ, after=after, limit=_CHUNK):
        yield from found
        after = found[-1]["audit_id"]


def _wrong(seal: Seal, row: dict[str, Any], rows: int, before: str, old: list[dict[str, Any]]) -> str | None:
    """Return what is wrong with the row that follows `rows` good ones."""
    if row["audit_id"] <= rows:
        return f"comes after it with number {row['audit_id']}: it was put in"
    if row["audit_id"] > rows + 1:
        return f"is missing; the next one is {row['audit_id']}"
    if row["mac"] is None:
        return None if not before else "has no MAC: it was not written by psflow"
    said = (row["audit_id"], row["at_s"], row["actor"], row["action"], row["subject"], row["detail"])
    if seal.mac(before, *said) != row["mac"]:
        return f"{row['action']} of {row['subject']} is not as it was written, or was written with another key"
    if old and not before and (row["action"] != _BEGUN or row["detail"] != {"sha256": _digest(old)}):
        return "does not fit the rows from before the chain: one of them was changed"
    return None


def _unlike(anchored_mac: str | None, row: dict[str, Any]) -> str | None:
    return "is not the one that was anchored" if anchored_mac not in (None, row["mac"]) else None


def _unsealed(connection: psycopg.Connection[DictRow]) -> list[dict[str, Any]]:
    return connection.execute(_UNSEALED).fetchall()


def _digest(rows: list[dict[str, Any]]) -> str:
    said = [[row[name] for name in ("audit_id", "at_s", "actor", "action", "subject", "detail")] for row in rows]
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
