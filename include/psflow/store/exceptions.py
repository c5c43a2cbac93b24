"""Records that need a person: one open row per rule, record and field, owned by the team that psflow.yaml names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psflow.config import Config, Rule
from psflow.store.connection import Store


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one field of one record. `record_id` is the id its owner knows it by."""

    rule: Rule
    entity: str
    record_id: str
    field: str
    value: str | None
    message: str
    engagement_id: str | None = None


def open_all(store: Store, config: Config, findings: Iterable[Finding]) -> int:
    """Open an exception for each finding that has none open yet; returns how many were new."""
    return store.run_many(
        _OPEN,
        [
            {
                "rule": f.rule, "entity": f.entity, "record": f.record_id, "field": f.field, "value": f.value,
                "message": f.message, "engagement": f.engagement_id,
                "team": config.routing[f.rule].owner_team, "fix": config.routing[f.rule].fix,
            }
            for f in findings
        ],
    )  # fmt: skip


_OPEN = """
insert into ops.exceptions (rule, entity, record_id, field, value, message, owner_team, fix, engagement_id)
values (%(rule)s, %(entity)s, %(record)s, %(field)s, %(value)s, %(message)s, %(team)s, %(fix)s, %(engagement)s)
on conflict (rule, entity, record_id, field) where state = 'open'
do update set value = excluded.value, message = excluded.message
where (exceptions.value, exceptions.message) is distinct from (excluded.value, excluded.message)
"""


def resolve(store: Store, rule: Rule, entity: str, record_ids: Sequence[str]) -> int:
    """Resolve what is open about these records under this rule; returns how many."""
    return store.run(
        "update ops.exceptions set state = 'resolved', resolved_at = clock_timestamp() "
        "where state = 'open' and rule = %(rule)s and entity = %(entity)s and record_id = any(%(ids)s)",
        rule=rule, entity=entity, ids=list(record_ids),
    )  # fmt: skip


def resolve_others(store: Store, rule: Rule, entity: str, still_wrong: Sequence[str]) -> int:
    """Resolve what is open under this rule about every record but these; returns how many."""
    return store.run(
        "update ops.exceptions set state = 'resolved', resolved_at = clock_timestamp() "
        "where state = 'open' and rule = %(rule)s and entity = %(entity)s and record_id <> all(%(ids)s)",
        rule=rule, entity=entity, ids=list(still_wrong),
    )  # fmt: skip
