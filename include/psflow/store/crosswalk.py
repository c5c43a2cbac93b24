"""Which ids of which systems are the same thing, and where each stream was read to."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

from psflow.errors import NeedsReview
from psflow.store.connection import Store


class System(Protocol):
    """What names a system here: a port of it, usually."""

    key: str
    instance: str


OVERLAP = dt.timedelta(minutes=10)  # a vendor's long transaction commits late under an early stamp


def link(store: Store, kind: str, entity_id: str, system: System, external_id: str) -> None:
    """Say that a system's record is ours. Raises NeedsReview when either side is linked to something else."""
    store.run(
        "insert into ops.crosswalk values (%(kind)s, %(ours)s, %(system)s, %(instance)s, %(theirs)s) "
        "on conflict do nothing",
        kind=kind, ours=entity_id, system=system.key, instance=system.instance, theirs=external_id,
    )  # fmt: skip
    if external(store, kind, entity_id, system) != external_id:
        raise NeedsReview(
            f"{system.key} {kind} {external_id} cannot be {entity_id}: one of the two is linked to another record"
        )


def external(store: Store, kind: str, entity_id: str, system: System) -> str | None:
    """Return the system's id of our record, or None."""
    found: str | None = store.value(
        "select external_id from ops.crosswalk where kind = %(kind)s and entity_id = %(ours)s "
        "and system = %(system)s and instance = %(instance)s",
        kind=kind, ours=entity_id, system=system.key, instance=system.instance,
    )  # fmt: skip
    return found


def entity(store: Store, kind: str, system: System, external_id: str) -> str | None:
    """Return our id of a system's record, or None."""
    found: str | None = store.value(
        "select entity_id from ops.crosswalk where kind = %(kind)s and external_id = %(theirs)s "
        "and system = %(system)s and instance = %(instance)s",
        kind=kind, theirs=external_id, system=system.key, instance=system.instance,
    )  # fmt: skip
    return found


def read_since(store: Store, system: System, stream: str) -> dt.datetime | None:
    """Return from when a stream must be read again: its watermark less the overlap; None for everything."""
    read_to: dt.datetime | None = store.value(
        "select read_to from ops.watermark "
        "where system = %(system)s and instance = %(instance)s and stream = %(stream)s",
        system=system.key, instance=system.instance, stream=stream,
    )  # fmt: skip
    return read_to - OVERLAP if read_to else None


def read_to(store: Store, system: System, stream: str, stamp: dt.datetime) -> None:
    """
    Move a watermark forward, in the transaction that stored what was read; it never moves back.

    A stamp from the future moves it to now only: what changes until then would never be read.
    """
    store.run(
        "insert into ops.watermark values (%(system)s, %(instance)s, %(stream)s, least(%(stamp)s, clock_timestamp())) "
        "on conflict (system, instance, stream) do update set read_to = excluded.read_to "
        "where watermark.read_to < excluded.read_to",
        system=system.key, instance=system.instance, stream=stream, stamp=stamp,
    )  # fmt: skip
