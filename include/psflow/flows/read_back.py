"""
What landed twice, or landed and was given up on, at vendors without unique keys: found by our reference, and closed.

A record lands twice only when its effect was claimed twice (a worker that slept in the middle of its request); so that
is what is read back, after the search lag, as a step of the flow that sent it.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence

from psflow.config import Config
from psflow.flows.effects import drive
from psflow.store import effects, exceptions
from psflow.store.connection import Row, Store
from psflow.store.effects import NewEffect
from psflow.systems.ports import Copy, ReadsBack, System


def read_back(store: Store, config: Config, system: System, keys: Sequence[str], again: bool = False) -> int:
    """
    Close what stands twice under one of these effects, and take what stands once for one that was given up on.

    Returns how many strays there were. `again` reads back all of them, not only those claimed more than once.
    """
    if system.profile.lookup == "unique_external_id" or not isinstance(system, ReadsBack):
        return 0
    rows = store.rows(_TWICE, keys=list(keys), again=again)
    if not rows:
        return 0
    time.sleep(system.profile.search_lag_s)  # a record that landed a moment ago must be visible
    return sum(_read_back(store, config, system, row) for row in rows)


_TWICE = """
select * from ops.effect
where effect_key = any(%(keys)s) and (state = 'done' and (fence > 1 or %(again)s) or state = 'dead') order by effect_key
"""


def _read_back(store: Store, config: Config, system: ReadsBack, row: Row) -> int:
    copies = system.copies(row["capability"], row["effect_key"], row["payload"])
    if row["state"] == "done":
        return close_strays(store, config, system, row, copies)
    if len(copies) == 1:  # several are a person's: none of them is known to be ours
        with store.transaction("effect.found"):
            effects.adopt(store, row["effect_key"], copies[0].external_id)
            exceptions.resolve(store, "effect", "effect", [row["effect_key"]])
    return 0


_TWO = "it is there twice: "


def close_strays(store: Store, config: Config, system: ReadsBack, row: Row, copies: Sequence[Copy]) -> int:
    """
    Close what carries an effect's reference beside its own record, each by an effect of its own; return how many.

    `row` is the effect, done. What cannot be closed any more becomes an exception.
    """
    others = [copy for copy in copies if copy.external_id != row["external_id"] and copy.state != "closed"]
    undone = {copy.external_id: _undo(system, row, copy) for copy in others}
    stuck = [external_id for external_id, new in undone.items() if new is None]
    with store.transaction("effect.strays"):
        exceptions.open_all(store, config, [_finding(system, row, external_id) for external_id in stuck])
        if not stuck:
            exceptions.resolve(store, "effect", "effect", [row["effect_key"]], told_by=_TWO)
        keys = effects.register(store, [new for new in undone.values() if new])
    if keys:
        drive(store, config, system, keys)
    return len(others)


def _undo(system: ReadsBack, row: Row, copy: Copy) -> NewEffect | None:
    undo = system.undo(row["capability"], row["payload"], copy.external_id, dt.date.min)
    if undo is None or copy.state == "final":
        return None
    subject = f"{row['effect_key'].split(':', 2)[2]}:{copy.external_id}"
    return NewEffect(system.key, undo.capability, subject, undo.payload, row["engagement_id"], row["batch_id"])


def _finding(system: System, row: Row, external_id: str) -> exceptions.Finding:
    message = f"{_TWO}{external_id} beside {row['external_id']} in {system.key}; close the first by hand"
    return exceptions.Finding("effect", "effect", row["effect_key"], "copy", external_id, message, row["engagement_id"])
