"""A recorded ledger of effects: written down once, laid under a later version, compared with what that makes of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psflow
from psflow.contracts import OpenEffect
from psflow.errors import Rejected
from psflow.store.connection import Store
from psflow.store.effects import NewEffect, payload_hash
from tests.flows.conftest import Ledger

FOLDER = Path(__file__).parent / "ledgers"
_KEPT = ("effect_key", "system", "capability", "engagement_id", "batch_id", "payload", "payload_hash", "state",
         "external_id")  # fmt: skip


def path(scenario: str) -> Path:
    """Return where a scenario's ledger is kept."""
    return FOLDER / f"{scenario}.json"


def record(store: Store, scenario: str) -> None:
    """Write down every effect of a scenario that was just run: ids, states and what was decided."""
    rows = [{name: row[name] for name in _KEPT} for row in effects(store)]
    FOLDER.mkdir(exist_ok=True)
    told = {"recorded_by": f"psflow {psflow.__version__}", "scenario": scenario, "effects": rows}
    path(scenario).write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read(scenario: str) -> list[dict[str, Any]]:
    """Return the recorded effects of a scenario."""
    found: list[dict[str, Any]] = json.loads(path(scenario).read_text(encoding="utf-8"))["effects"]
    return found


def effects(store: Store) -> list[dict[str, Any]]:
    """Return every effect of a database, by key."""
    return store.rows("select * from ops.effect order by effect_key")


def lay_under(store: Store, erp: Ledger, recorded: list[dict[str, Any]]) -> None:
    """Make what was recorded the state of a fresh database, and of the ERP what its documents say."""
    with store.transaction("replay.state"):
        store.run_many(_LAY, [row | {"payload": json.dumps(row["payload"])} for row in recorded])
    for row in recorded:
        if row["capability"] == "draft_invoice" and row["state"] == "done":
            erp.documents[row["external_id"]] = {"key": row["effect_key"], **row["payload"], "state": "draft"}


_LAY = """
insert into ops.effect (effect_key, system, capability, engagement_id, batch_id, region, payload, payload_hash, state,
                        attempts, fence, external_id, settled_at)
select %(effect_key)s, %(system)s, %(capability)s, %(engagement_id)s, %(batch_id)s, region, %(payload)s::jsonb,
       %(payload_hash)s, %(state)s, 1, 1, %(external_id)s, clock_timestamp()
from ops.deployment
"""


class Vendors:
    """Every vendor at once: whatever it is asked to write is a new call, and refused."""

    def __init__(self) -> None:
        self.new = list[str]()

    def perform(self, effect: OpenEffect) -> str:
        """Note a write and refuse it."""
        self.new.append(effect.key)
        raise Rejected(f"{effect.key} was never sent before")


def changed(store: Store, recorded: list[dict[str, Any]]) -> list[str]:
    """Return what the ledger says now and did not say, or the other way round."""
    now = {(r["effect_key"], r["payload_hash"], r["state"], r["external_id"]) for r in effects(store)}
    was = {(r["effect_key"], r["payload_hash"], r["state"], r["external_id"]) for r in recorded}
    return sorted(f"{'new' if row in now else 'gone'}: {row[0]} {row[2]}" for row in now ^ was)


def otherwise(decided: Sequence[NewEffect], recorded: list[dict[str, Any]]) -> list[str]:
    """Return what is decided now with another payload than was recorded."""
    was = {r["effect_key"]: r["payload_hash"] for r in recorded}
    now = {(new.key, payload_hash(new.payload)) for new in decided}
    return sorted(f"{key} is decided with another payload" for key, found in now if was.get(key, found) != found)
