"""Records that look like one we know. A score only proposes; a person decides, and until then nothing is linked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from psflow.errors import NeedsReview
from psflow.store.connection import Store
from psflow.store.crosswalk import System

Entity = Literal["customer", "resource"]
Decision = Literal["same", "different"]


def decided(store: Store, entity: Entity, system: System, record_id: str) -> dict[str, Decision | None]:
    """Return our id -> what a person said (None: not yet) of every candidate of a system's record."""
    rows = store.rows(
        "select entity_id, decision from ops.match_candidate where entity = %(entity)s and system = %(system)s "
        "and instance = %(instance)s and external_id = %(theirs)s",
        entity=entity, system=system.key, instance=system.instance, theirs=record_id,
    )  # fmt: skip
    return {row["entity_id"]: row["decision"] for row in rows}


def propose(store: Store, entity: Entity, system: System, record_id: str, scores: Mapping[str, float]) -> None:
    """Write down which of ours a system's record may be, with scores of 0 to 100; what is there already stays."""
    store.run_many(
        "insert into ops.match_candidate (entity, system, instance, external_id, entity_id, score) "
        "values (%(entity)s, %(system)s, %(instance)s, %(theirs)s, %(ours)s, %(score)s) on conflict do nothing",
        [
            {"entity": entity, "system": system.key, "instance": system.instance, "theirs": record_id, "ours": ours,
             "score": round(score, 2)}
            for ours, score in scores.items()
        ],
    )  # fmt: skip


def answered(store: Store, entity: Entity, system: System) -> bool:
    """Whether a person decided about a record of this stream and no read acted on it: their word came during one."""
    found: bool = store.value(_ANSWERED, entity=entity, system=system.key, instance=system.instance)
    return found


_ANSWERED = """
select exists (
    select from ops.match_candidate candidate
    join ops.exceptions asked on (asked.rule, asked.entity, asked.state, asked.record_id)
                               = ('match', candidate.entity, 'open', candidate.system || ':' || candidate.external_id)
    where (candidate.entity, candidate.system, candidate.instance) = (%(entity)s, %(system)s, %(instance)s)
    group by candidate.external_id
    having bool_or(decision = 'same') or bool_and(decision is not null))
"""


def decide(store: Store, entity: Entity, system: str, record_id: str, ours: str, said: Decision, person: str) -> None:
    """
    Store what a person said about one candidate; the stream is read from its beginning once, and that read acts on it.

    Raises NeedsReview when there is no such candidate.
    """
    done = store.run(
        "update ops.match_candidate set decision = %(said)s, decided_by = %(person)s, decided_at = clock_timestamp() "
        "where entity = %(entity)s and system = %(system)s and external_id = %(theirs)s and entity_id = %(ours)s",
        entity=entity, system=system, theirs=record_id, ours=ours, said=said, person=person,
    )  # fmt: skip
    store.run(
        "update ops.watermark set read_to = '2000-01-01Z' where system = %(system)s and stream = %(entity)s",
        system=system, entity=entity,
    )  # fmt: skip
    if not done:
        raise NeedsReview(f"{system} {entity} {record_id} was never proposed as {ours}; see ops.match_candidate")
