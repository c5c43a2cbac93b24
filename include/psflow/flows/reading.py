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
from psflow.errors import NeedsReview
from psflow.flows.identity import Undecided
from psflow.store import crosswalk, exceptions, shapes
from psflow.store.connection import Store
from psflow.store.exceptions import Finding
from psflow.systems.ports import BadRow, Page, Pulled, System

T = TypeVar("T")
Counts = dict[str, Any]
Save = Callable[[Store, System, str, T], object]


def pull(
    store: Store, config: Config, system: System, kind: str, pages: Iterator[Page[T]], save: Save[T]
) -> int:  # fmt: skip
    """Store every record of a stream and return how many were read."""
    read = 0
    for page in pages:
        with store.transaction(f"sync.{kind}"):
            keep_raw(store, system, kind, [(r.record_id, r.payload) for r in page.rows])
            keep_raw(store, system, kind, [(b.record_id, b.payload) for b in page.bad])
            failed = [found for row in page.rows if (found := _saved(store, system, kind, row, save))]
            changed = shapes.note(store, system, kind, [row.payload for row in page.rows])
            exceptions.open_all(store, config, [*failed, *findings(system, kind, page.bad), *changed])
            wrong = {finding.record_id for finding in failed}
            read_well = [row.record_id for row in page.rows if row.record_id not in wrong]
            exceptions.resolve(store, "record", kind, read_well, told_by=f"{system.key}: ")  # systems count alike
            if stamps := [row.modified_at for row in page.rows if row.modified_at]:
                crosswalk.read_to(store, system, kind, max(stamps))
        read += len(page.rows)
    if said := [f"{system.key}: {notice}" for notice in sorted(notices(system))]:
        with store.transaction("sync.notices"):
            told = [Finding("record", f"{system.key} API", kind, "version", None, notice) for notice in said]
            exceptions.open_all(store, config, told)
    return read


def notices(system: System) -> set[str]:
    """Return what the vendor announced in its answers' headers about the end of what was called."""
    transport = getattr(system, "transport", None)  # a system without HTTP announces nothing
    return transport.notices if transport else set()


def noted(pages: Iterator[Page[T]], seen: set[str], key: Callable[[T], str]) -> Iterator[Page[T]]:
    """Pass pages on and note what is there; a record that cannot be read is there too."""
    for page in pages:
        seen.update(key(row.record) for row in page.rows)
        seen.update(row.record_id for row in page.bad)
        yield page


def _saved(store: Store, system: System, kind: str, row: Pulled[T], save: Save[T]) -> Finding | None:
    """Store one record, or return why not."""
    try:
        with store.savepoint():
            save(store, system, row.record_id, row.record)
    except Undecided as error:
        with store.savepoint():
            error.propose(store)
        return Finding("match", kind, f"{system.key}:{row.record_id}", "name", None, str(error))
    except (NeedsReview, psycopg.IntegrityError, psycopg.DataError) as error:
        return findings(system, kind, [BadRow(row.record_id, str(error).split("\n")[0], row.payload)])[0]
    return None


def findings(system: System, kind: str, bad: list[BadRow]) -> list[Finding]:
    """Return what a person must look at."""
    return [Finding("record", kind, b.record_id, "payload", None, f"{system.key}: {b.problem}") for b in bad]


def keep_raw(store: Store, system: System, kind: str, records: list[tuple[str, str]]) -> None:
    """Keep payloads as received, each version once."""
    store.run_many(
        "insert into raw.record (system, instance, kind, record_id, payload_hash, payload) "
        "values (%(system)s, %(instance)s, %(kind)s, %(id)s, %(hash)s, %(payload)s) on conflict do nothing",
        [
            {
                "system": system.key, "instance": system.instance, "kind": kind, "id": record_id, "payload": payload,
                "hash": hashlib.sha256(payload.encode()).hexdigest(),
            }
            for record_id, payload in records
        ],
    )  # fmt: skip
