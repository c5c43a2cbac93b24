"""What is on its way to other systems and what is read from them: the rows behind the page Systems. Reads only."""

from __future__ import annotations

import json
from typing import Any, LiteralString

from psflow.config import Config
from psflow.store.connection import Row, Store, sql
from psflow.store.sight import Sight
from psflow.store.workflow import MOST

# what an effect is waiting for; done ones are asked for by name only
STATUSES = ("pending", "uncertain", "proposed", "observed", "refused", "dead")


def effects(store: Store, policy: Config, sight: Sight, **filters: Any) -> list[Row]:
    """
    Return effects by status, system, capability, engagement and key, the oldest first; None is not asked.

    Each has the `mode` that policy gives it, its `exception_id` when one is open, and the run that sends it.
    """
    asked = dict.fromkeys(("status", "system", "capability", "engagement", "key")) | filters
    return sight.rows(store, _EFFECTS, modes=_modes(policy), limit=MOST, **asked)


def counts(store: Store, policy: Config, sight: Sight) -> dict[tuple[str, str], Row]:
    """Return (system, status) -> {effects, oldest_at} of all effects that are not done."""
    asked = dict.fromkeys(("status", "system", "capability", "engagement", "key", "limit"))
    found = sight.rows(store, _COUNTS, modes=_modes(policy), **asked)
    return {(row["system"], row["status"]): row for row in found}


def dead_letters(store: Store, sight: Sight, **filters: Any) -> list[Row]:
    """Return what was given up on (`store.dead_letters`) by id, system and text of the error, newest first."""
    asked = dict.fromkeys(("id", "system", "text")) | filters
    return sight.rows(store, sql("warehouse.workflow", "dead_letters"), limit=MOST, **asked)


def streams(store: Store) -> list[Row]:
    """Return how far each stream is behind, the furthest first."""
    return store.rows("select * from ops.stream_lag order by lag_s desc, system, stream")


def _modes(policy: Config) -> str:
    return json.dumps([rule.model_dump() for rule in policy.modes])


_EFFECTS: LiteralString = sql("warehouse.workflow", "effects")
_COUNTS: LiteralString = (
    "select system, status, count(*) as effects, min(registered_at) as oldest_at from ("
    + _EFFECTS
    + ") effect group by system, status"
)
