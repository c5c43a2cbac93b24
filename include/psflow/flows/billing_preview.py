"""The plan of what a billing run would freeze now: made by the run's own steps and undone, so nothing is kept."""

from __future__ import annotations

import datetime as dt

from psflow.config import Config
from psflow.contracts import Period
from psflow.flows import billing, billing_plan
from psflow.flows.billing_plan import Plan
from psflow.store.connection import Store


class _Undo(Exception):
    """Ends the transaction without keeping anything."""


def preview(
    store: Store, config: Config, legal_entity_id: str, period: Period, invoiced_on: dt.date | None = None
) -> Plan | None:
    """
    Return the plan of the period's open batch, else of the batch that would be made now; None when there is nothing.

    A plan without a `plan_hash` was seen by no gate: rows may still be held. Raises GateFailed while a batch of another
    period is being posted.
    """
    config.legal_entity(legal_entity_id)
    if batch := billing_plan.open_batch(store, legal_entity_id, period.name):
        return billing_plan.of(store, batch)
    made: Plan | None = None
    try:
        with store.transaction("billing.preview"):
            if batch := billing.freeze_in(store, config, legal_entity_id, period, invoiced_on or period.end):
                made = billing_plan.of(store, batch)
            raise _Undo
    except _Undo:
        return made
