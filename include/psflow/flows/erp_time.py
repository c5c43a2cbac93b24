"""
Hours of contracts whose number is the ERP's: each stands on its project there, and the ERP bills it by its own rules.

Each version of an entry that passed its gate is an effect of its own; `shadow` prices again what the ERP then bills.
"""

from __future__ import annotations

from psflow.config import Config
from psflow.contracts import LegalEntity
from psflow.flows.effects import drive
from psflow.flows.read_back import read_back
from psflow.flows.shadow import owners, tell
from psflow.store import effects
from psflow.store.connection import Row, Store, sql
from psflow.store.effects import NewEffect
from psflow.systems.ports import Erp


def bills_itself(store: Store, config: Config, legal_entity_id: str) -> bool:
    """Whether the ERP makes the invoices of a contract of this legal entity, as psflow.yaml says now."""
    with store.transaction("erp_time.owners"):
        tell(store, config)
    return "erp" in owners(store, legal_entity_id).values()


def post_time(store: Store, config: Config, erp: Erp, entity: LegalEntity) -> dict[str, int]:
    """
    Send the hours that the ERP does not know yet, and take back what is no longer approved; return counts.

    One that the ERP refuses (it has no such employee) becomes an exception; the others go on.
    """
    with store.transaction("erp_time.due"):
        of = {"entity": entity.legal_entity_id, "since": entity.billing_starts_on}
        due = store.rows(sql("warehouse.erp_time", "due"), **of, system=erp.key, instance=erp.instance)
        effects.register(store, [_effect(erp, entity, row) for row in due])
    keys = [row["effect_key"] for row in store.rows(_OPEN, system=erp.key, entity=entity.legal_entity_id)]
    drive(store, config, erp, keys)
    read_back(store, config, erp, keys)
    done = sum(row["state"] == "done" for row in effects.states(store, keys).values())
    return {"sent": done, "refused": len(keys) - done}


_OPEN = """
select effect_key from ops.effect
where system = %(system)s and capability = 'post_time' and state <> 'done'
  and payload ->> 'legal_entity_id' = %(entity)s
order by registered_at, effect_key
"""


def _effect(erp: Erp, entity: LegalEntity, row: Row) -> NewEffect:
    said = ("time_entry_id", "version", "project_code", "erp_project_id", "resource_id", "minutes")
    payload = {name: row[name] for name in said}
    payload |= {"legal_entity_id": entity.legal_entity_id, "worked_on": row["worked_on"].isoformat()}
    return NewEffect(erp.key, "post_time", f"{row['time_entry_id']}.{row['version']}", payload, row["engagement_id"])
