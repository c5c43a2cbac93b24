"""
Who may say what a field is. Another system's different value is refused, listed in `ops.drift` and told.

A field nobody owns may be written by everybody; a system that says nothing (None) says nothing different.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psflow.config import Config, OwnedEntity
from psflow.store import exceptions
from psflow.store.connection import Row, Store
from psflow.store.crosswalk import System


def allowed(
    store: Store, config: Config, entity: OwnedEntity, entity_id: str, system: System, current: Row | None,
    values: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """
    Return what may be written of `values`: the whole for a new record, else each field by its owner.

    An owner that does not know the record yet does not stop others; one that does and says nothing means nothing.
    """
    if current is None:
        return dict(values)
    owners = config.owners.get(entity, {})
    refused = {
        field: (owners[field], current[field], value)
        for field, value in values.items()
        if owners.get(field, system.key) != system.key and _differs(current[field], value)
    }
    _list(store, config, entity, entity_id, system, refused)
    silent = {field for field, value in values.items() if owners.get(field, system.key) != system.key and not value}
    silent |= _left_empty(store, entity, entity_id, {
        field: owners[field] for field in values.keys() - silent
        if owners.get(field, system.key) != system.key and not current[field]
    })  # fmt: skip
    return {field: current[field] if field in refused or field in silent else value for field, value in values.items()}


def _left_empty(store: Store, entity: OwnedEntity, entity_id: str, empty: Mapping[str, str]) -> set[str]:
    """Return which empty fields (field -> owner) are so because their owner, which knows the record, says nothing."""
    if not empty:
        return set()
    known = store.rows(
        "select system from ops.crosswalk where kind = %(entity)s and entity_id = %(id)s", entity=entity, id=entity_id
    )
    return {field for field, owner in empty.items() if owner in {row["system"] for row in known}}


def _differs(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, list):  # the order of a list says nothing
        return bool(ours and theirs and sorted(theirs) != sorted(ours))
    return theirs is not None and ours is not None and theirs != ours


def _list(
    store: Store, config: Config, entity: OwnedEntity, entity_id: str, system: System,
    refused: Mapping[str, tuple[str, Any, Any]],
) -> None:  # fmt: skip
    """Keep the drift of one record as it is now; a field that agrees again is taken off and its exception resolved."""
    store.run(
        "delete from ops.drift where entity = %(entity)s and entity_id = %(id)s and system = %(system)s "
        "and field <> all(%(fields)s)",
        entity=entity, id=entity_id, system=system.key, fields=list(refused),
    )  # fmt: skip
    store.run_many(_DRIFT, [
        {"entity": entity, "id": entity_id, "field": field, "owner": owner, "ours": str(ours), "system": system.key,
         "theirs": str(theirs)}
        for field, (owner, ours, theirs) in refused.items()
    ])  # fmt: skip
    record = f"{entity_id}@{system.key}"
    if not refused:
        exceptions.resolve(store, "ownership", entity, [record])
    exceptions.open_all(store, config, [
        exceptions.Finding("ownership", entity, record, field, str(theirs),
                           f"{system.key} says {theirs!r}, {owner} owns {field} and says {ours!r}; refused")
        for field, (owner, ours, theirs) in refused.items()
    ])  # fmt: skip


_DRIFT = """
insert into ops.drift (entity, entity_id, field, owner, owner_value, system, system_value)
values (%(entity)s, %(id)s, %(field)s, %(owner)s, %(ours)s, %(system)s, %(theirs)s)
on conflict (entity, entity_id, field, system) do update
set owner = excluded.owner, owner_value = excluded.owner_value, system_value = excluded.system_value,
    seen_at = clock_timestamp()
where (drift.owner, drift.owner_value, drift.system_value)
      is distinct from (excluded.owner, excluded.owner_value, excluded.system_value)
"""
