"""
Read a stream page by page: payload, record and watermark in one transaction.

A record that cannot be read or stored becomes an exception; the rest goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import psycopg

from psflow.config import Config
from psflow.contracts.text import storable
from psflow.errors import NeedsReview
from psflow.flows.identity import Undecided
from psflow.store import crosswalk, dead_letters, exceptions, shapes
from psflow.store.connection import Row, Store
from psflow.store.exceptions import Finding
from psflow.systems.ports import BadRow, Page, Pulled, ReadsAgain, System

T = TypeVar("T")
Counts = dict[str, Any]
Save = Callable[[Store, System, str, T], object]


def pull(
    store: Store, config: Config, system: System, kind: str, pages: Iterator[Page[T]], save: Save[T]
) -> int:  # fmt: skip
    """Store every record of a stream and return how many were read."""
    read = _pull_again(store, config, system, kind, save)
    for page in pages:
        with store.transaction(f"sync.{kind}"):
            _keep(store, config, system, kind, page, save)
            if stamps := [row.modified_at for row in page.rows if row.modified_at]:
                crosswalk.read_to(store, system, kind, max(stamps))
        read += len(page.rows)
    if said := [f"{system.key}: {notice}" for notice in sorted(notices(system))]:
        with store.transaction("sync.notices"):
            told = [Finding("record", f"{system.key} API", kind, "version", None, notice) for notice in said]
            exceptions.open_all(store, config, told)
    return read


def _keep(store: Store, config: Config, system: System, kind: str, page: Page[T], save: Save[T]) -> None:
    keep_raw(store, system, kind, [(r.record_id, r.payload) for r in page.rows])
    keep_raw(store, system, kind, [(b.record_id, b.payload) for b in page.bad])
    failed = [found for row in page.rows if (found := _saved(store, system, kind, row, save))]
    undecided = [found for found in failed if isinstance(found, Finding)]
    bad = uncorrected(store, system, kind, [*page.bad, *(found for found in failed if isinstance(found, BadRow))])
    changed = shapes.note(store, system, kind, [row.payload for row in page.rows])
    exceptions.open_all(store, config, [*undecided, *findings(system, kind, bad), *changed])
    wrong = {found.record_id for found in failed}
    read_well = [row.record_id for row in page.rows if row.record_id not in wrong]
    exceptions.resolve(store, "record", kind, read_well, told_by=f"{system.key}: ")  # systems count alike


def _pull_again(store: Store, config: Config, system: System, kind: str, save: Save[T]) -> int:
    """Read first what a person wants read again: what is new comes after it, and wins. Return how many."""
    if not dead_letters.is_waiting(store, system.key, system.instance, kind):
        return 0
    with store.transaction(f"replay.{kind}"):
        asked = dead_letters.waiting(store, system.key, system.instance, kind)
        for row in asked:
            _keep(store, config, system, kind, again(system, kind, row), save)
        dead_letters.ended(store, asked)
    return len(asked)


def uncorrected(store: Store, system: System, kind: str, bad: list[BadRow]) -> list[BadRow]:
    """Return the rows that still need a person: the very version of the others was read as somebody corrected it."""
    if not bad:
        return []
    versions = {storable(row.record_id): _hash(row.payload) for row in bad}
    done = dead_letters.corrected(store, system.key, system.instance, kind, versions)
    return [row for row in bad if storable(row.record_id) not in done]


def again(system: System, kind: str, asked: Row) -> Page[Any]:
    """Return a page of one dead letter, read as it was corrected and kept as received; no watermark hangs on it."""
    try:
        if not isinstance(system, ReadsAgain):
            raise NeedsReview(f"{system.key} cannot read one record again; correct it there")
        page = system.read_again(kind, asked["record_id"], asked["payload"])
    except NeedsReview as error:
        return Page([], [BadRow(asked["record_id"], str(error), asked["original"])])
    rows: list[Any] = [row._replace(payload=asked["original"]) for row in page.rows]
    return Page(rows, [bad._replace(payload=asked["original"]) for bad in page.bad])


def notices(system: System) -> set[str]:
    """Return what the vendor announced in its answers' headers about the end of what was called."""
    transport = getattr(system, "transport", None)  # a system without HTTP announces nothing
    return transport.notices if transport else set()


def noted(pages: Iterator[Page[T]], seen: set[str], key: Callable[[T], str]) -> Iterator[Page[T]]:
    """Pass pages on and note what is there; a record that cannot be read is there too."""
    for page in pages:
        seen.update(storable(key(row.record)) for row in page.rows)
        seen.update(storable(row.record_id) for row in page.bad)
        yield page


def _saved(store: Store, system: System, kind: str, row: Pulled[T], save: Save[T]) -> Finding | BadRow | None:
    """Store one record, or return why not: a person must decide who it is, or it cannot be stored."""
    try:
        with store.savepoint():
            save(store, system, row.record_id, row.record)
    except Undecided as error:
        with store.savepoint():
            error.propose(store)
        return Finding("match", kind, f"{system.key}:{row.record_id}", "name", None, str(error))
    except (NeedsReview, psycopg.IntegrityError, psycopg.DataError) as error:
        return BadRow(row.record_id, str(error).split("\n")[0], row.payload)
    return None


def findings(system: System, kind: str, bad: list[BadRow]) -> list[Finding]:
    """Return what a person must look at."""
    return [Finding("record", kind, b.record_id, "payload", None, f"{system.key}: {b.problem}") for b in bad]


def keep_raw(store: Store, system: System, kind: str, records: list[tuple[str, str]]) -> None:
    """Keep payloads as received, each version once; one that comes back after another is the newest again."""
    store.run_many(
        "insert into raw.record (system, instance, kind, record_id, payload_hash, payload) "
        "values (%(system)s, %(instance)s, %(kind)s, %(id)s, %(hash)s, %(payload)s) "
        "on conflict (system, instance, kind, record_id, payload_hash) "
        "do update set received_at = excluded.received_at "
        "where exists (select from raw.record newer where newer.received_at > record.received_at "
        "and (newer.system, newer.instance, newer.kind, newer.record_id) "
        "= (record.system, record.instance, record.kind, record.record_id))",
        [
            {
                "system": system.key, "instance": system.instance, "kind": kind, "id": storable(record_id),
                "payload": payload, "hash": _hash(payload),
            }
            for record_id, payload in records
        ],
    )  # fmt: skip


def _hash(payload: str) -> str:
    return hashlib.sha256(payload.encode()).hexdigest()
