"""
Which of ours is a system's record? The crosswalk says, else an exact key, else a person is asked; never a score.

A record that only looks like one of ours waits, with an exception, until somebody says "same" or "different".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from psflow.errors import NeedsReview
from psflow.store import crosswalk, exceptions, matches
from psflow.store.connection import Store
from psflow.store.matches import Entity
from psflow.systems.ports import System

_ALIKE = 88.0  # token-sorted similarity in percent; measured on the demo's customers, see docs/decisions.md
_LEGAL_FORMS = re.compile(
    r"\b(incorporated|inc|llc|ltd|limited|gmbh|ag|bv|sa|plc|corp|corporation|co)\b\.?", re.IGNORECASE
)


class Undecided(NeedsReview):
    """A record looks like some of ours and nobody has said yet whether it is one of them."""

    def __init__(
        self, entity: Entity, system: System, record_id: str, name: str, scores: Mapping[str, float],
        others: Mapping[str, str],
    ) -> None:  # fmt: skip
        shown = {ours: f"{ours} “{other}”" for ours, other in others.items()} if entity == "customer" else {}
        alike = ", ".join(shown.get(ours, ours) for ours in sorted(scores))
        theirs = f"{record_id} “{name}”" if entity == "customer" else record_id  # no names of people in an error
        super().__init__(f"{system.key} {entity} {theirs} looks like {alike}: say whether they are the same")
        self.propose = partial(matches.propose, entity=entity, system=system, record_id=record_id, scores=scores)


class Alias(NamedTuple):
    """What a record is to us. `is_double`: the same system has another record of it, which stays the one we follow."""

    ours: str
    is_double: bool


def resolve(
    store: Store, entity: Entity, system: System, record_id: str, name: str, exact: str | None,
    proposed: str,
) -> Alias:  # fmt: skip
    """
    Return our id of a system's record, linked in the crosswalk: known, found by its exact key, or minted as `proposed`.

    `exact` is our record that carries the same exact key. Raises Undecided.
    """
    known = crosswalk.entity(store, entity, system, record_id) or exact
    decided = None if known else _decided(store, entity, system, record_id, name)
    ours = known or decided or proposed
    is_double = crosswalk.external(store, entity, ours, system) not in (None, record_id)
    if is_double and ours != decided:
        raise NeedsReview(f"{system.key} has two records of {entity} {ours} with one exact key: merge them there")
    if not is_double:
        crosswalk.link(store, entity, ours, system, record_id)
    exceptions.resolve(store, "match", entity, [f"{system.key}:{record_id}"])
    return Alias(ours, is_double)


def alike(name: str, others: Mapping[str, str]) -> dict[str, float]:
    """Return our id -> score of the names (our id -> name) that may be the same; legal forms and order do not count."""
    from rapidfuzz import fuzz, process

    plain = {ours: _plain(other) for ours, other in others.items()}
    found = process.extract(_plain(name), plain, scorer=fuzz.token_sort_ratio, score_cutoff=_ALIKE, limit=5)
    return {str(ours): float(score) for _, score, ours in found}


def _plain(name: str) -> str:
    return " ".join(re.sub(r"[^\w\s]", " ", _LEGAL_FORMS.sub(" ", name)).casefold().split())


def _decided(store: Store, entity: Entity, system: System, record_id: str, name: str) -> str | None:
    """Return the candidate a person called the same, None when there is none. Raises Undecided when one is open."""
    said = matches.decided(store, entity, system, record_id)
    if same := [ours for ours, decision in said.items() if decision == "same"]:
        return same[0]
    others = _others(store, entity, system)
    scores = alike(name, others)
    if waiting := {ours: score for ours, score in scores.items() if said.get(ours) is None}:
        raise Undecided(entity, system, record_id, name, waiting, others)
    return None


def _others(store: Store, entity: Entity, system: System) -> dict[str, str]:
    """Return our id -> name of all that this system has no record of yet, and for customers also of those it has."""
    statement = _CUSTOMERS if entity == "customer" else _RESOURCES
    rows = store.rows(statement, system=system.key, instance=system.instance)
    return {row["id"]: row["name"] for row in rows}


# two accounts of one company in one CRM are the usual double; two people of one name in one system are two people
_CUSTOMERS = "select customer_id as id, name from core.customer"
_RESOURCES = """
select resource_id as id, name from core.resource
where not exists (select from ops.crosswalk where kind = 'resource' and entity_id = resource_id
                  and system = %(system)s and instance = %(instance)s)
"""
