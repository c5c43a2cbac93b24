"""
What a vendor's records are made of. A field that is new, or comes as another type, is told once it happens.

The first day of a kind is for learning, since optional fields come by and by; from then on a change speaks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from psflow.contracts.text import storable
from psflow.store.connection import Store
from psflow.store.crosswalk import System
from psflow.store.exceptions import Finding

_TYPES = {str: "text", bool: "boolean", int: "number", float: "number", list: "list", dict: "object"}


def note(store: Store, system: System, kind: str, payloads: Iterable[str]) -> list[Finding]:
    """Remember the fields of these payloads and return what changed since the first ones, for data engineering."""
    seen = {pair for payload in payloads for pair in _fields(payload)}
    if not seen:
        return []
    names, types = zip(*sorted(seen), strict=True)
    rows = store.rows(_NOTE, system=system.key, kind=kind, fields=list(names), types=list(types))
    return [
        Finding(
            "record", f"{system.key} {kind}", row["field"], "json_type", row["json_type"], _message(system, kind, **row)
        )
        for row in rows
    ]


def _message(system: System, kind: str, field: str, json_type: str, was: str | None) -> str:
    what = f"comes as {json_type}, was {was}" if was else f"is new ({json_type})"
    return f"{system.key}: {kind}.{field} {what}: see whether the mapping must know; nothing was stopped"


def _fields(payload: str) -> Iterable[tuple[str, str]]:
    try:
        record = json.loads(payload)
    except ValueError:
        return []
    pairs = record.items() if isinstance(record, dict) else ()
    return [(storable(name), _TYPES[type(value)]) for name, value in pairs if value is not None]


_NOTE = """
with given as (
    select * from unnest(%(fields)s::text[], %(types)s::text[]) as given (field, json_type)
), known as (
    select field, string_agg(json_type, ' or ' order by json_type) as was
    from raw.field where system = %(system)s and kind = %(kind)s group by field
), added as (
    insert into raw.field (system, kind, field, json_type)
    select %(system)s, %(kind)s, field, json_type from given
    on conflict do nothing
    returning field, json_type
)
select field, json_type, known.was from added left join known using (field)
where exists (select from raw.field where system = %(system)s and kind = %(kind)s
              and first_seen_at < clock_timestamp() - interval '1 day')
order by field
"""
