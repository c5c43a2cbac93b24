"""What a person sees: rows of their legal entities, and those of none that is known yet. The database filters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, LiteralString

from psflow.config import Config, Person
from psflow.store.connection import Row, Store, sql


@dataclass(frozen=True, slots=True)
class Sight:
    """The legal entities somebody sees (None: all); `named` is what the CRM calls one -> its id."""

    entities: tuple[str, ...] | None = None
    named: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, policy: Config, person: Person | None) -> Sight:
        """Return what a person sees; a login that is no person sees what is of no legal entity yet."""
        named = {value: entity.legal_entity_id for value, entity in policy.entity_by_crm_value.items()}
        return cls(person.entities if person else (), named)

    def rows(self, store: Store, query: LiteralString, **parameters: Any) -> list[Row]:
        """Return the rows of a query on the `seen_…` of `warehouse/workflow/sight.sql`, in its order."""
        seen: LiteralString = sql("warehouse.workflow", "sight") + "select * from (" + query + "\n) shown"
        return store.rows(seen, entities=self._entities(), named=json.dumps(dict(self.named)), **parameters)

    def _entities(self) -> list[str] | None:
        return None if self.entities is None else list(self.entities)


EVERYTHING = Sight()
