"""
Bring what changed in CRM and PSA into raw and core, page by page, and open an engagement for each won deal.

A page and its watermark are one transaction. A record that cannot be read becomes an exception; the rest goes on.
"""

from __future__ import annotations

import json
from functools import partial

from psflow.config import Config
from psflow.contracts import Customer, Milestone, Opportunity, OpportunityLine, RateCard, Task
from psflow.errors import NeedsReview
from psflow.flows import identity, shadow
from psflow.flows.activation import due
from psflow.flows.reading import Counts, findings, noted, pull
from psflow.flows.sync_people import save_person
from psflow.rules.activation import GATES
from psflow.store import crosswalk, exceptions, matches, ownership
from psflow.store.connection import Store, sql
from psflow.systems.ports import BadRow, Crm, Erp, FxRate, Psa, System


def pull_crm(store: Store, config: Config, crm: Crm) -> Counts:
    """Read customers and opportunities; return counts and the activation runs to start or to start again."""
    since = None if matches.answered(store, "customer", crm) else crosswalk.read_since(store, crm, "customer")
    accounts = crm.customers(since)
    customers = pull(store, config, crm, "customer", accounts, partial(_customer, config))
    deals = crm.opportunities(crosswalk.read_since(store, crm, "opportunity"))
    opportunities = pull(store, config, crm, "opportunity", deals, _opportunity)
    with store.transaction("sync.engagements"):
        opened = store.run(sql("warehouse.sync", "open_engagements"), system=crm.key, instance=crm.instance)
        store.run(sql("warehouse.sync", "tax_treatment"), treatments=json.dumps(config.tax_treatments))
        _report_deals(store, config)
    return {"customers": customers, "opportunities": opportunities, "engagements": opened, **due(store, config)}


def _report_deals(store: Store, config: Config) -> None:
    """Open an exception for each deal that waits for a person, and close those of deals that no longer do."""
    found = [exceptions.Finding("record", "deal", **row) for row in store.rows(sql("warehouse.sync", "deal_findings"))]
    exceptions.open_all(store, config, found)
    exceptions.resolve_others(store, "record", "deal", [f.record_id for f in found])
    store.run(sql("warehouse.sync", "lost_deals"), gates=list(GATES))


def pull_psa(store: Store, config: Config, psa: Psa) -> Counts:
    """Read people and rate cards whole, tasks and milestones that changed; return counts."""
    resources = pull(store, config, psa, "resource", psa.resources(), partial(save_person, config))
    seen: set[str] = set()
    try:
        prices = noted(psa.rate_cards(), seen, lambda card: card.rate_card_id)
        cards = pull(store, config, psa, "rate_card", prices, _rate_card)
    except NeedsReview as error:  # prices that cannot be read are worse than yesterday's: none of them is taken
        with store.transaction("sync.exceptions"):
            exceptions.open_all(store, config, findings(psa, "rate_card", [BadRow("*", str(error), "")]))
        raise
    with store.transaction("sync.exceptions"):
        exceptions.resolve(store, "record", "rate_card", ["*"])
        store.run(sql("warehouse.sync", "withdrawn_rates"), cards=sorted(seen))
    tasks = pull(store, config, psa, "task", psa.tasks(crosswalk.read_since(store, psa, "task")), _task)
    due = psa.milestones(crosswalk.read_since(store, psa, "milestone"))
    milestones = pull(store, config, psa, "milestone", due, _milestone)
    bills = shadow.read_bills(store, config, psa, "psa")
    return {"resources": resources, "rate_cards": cards, "tasks": tasks, "milestones": milestones, "invoices": bills}


def _task(store: Store, system: System, record_id: str, task: Task) -> None:
    store.run(sql("warehouse.sync", "task"), **task.model_dump())


def _milestone(store: Store, system: System, record_id: str, milestone: Milestone) -> None:
    store.run(sql("warehouse.sync", "milestone"), **milestone.model_dump())


def pull_erp(store: Store, config: Config, erp: Erp) -> Counts:
    """
    Read the exchange rates of the ERP whole (it keeps no change stamp a rate could be missed by); return counts.

    Its documents too where it owns the number of a contract.
    """
    counts = {"fx_rates": pull(store, config, erp, "fx_rate", erp.fx_rates(None), _fx_rate)}
    if any(rule.owner == "erp" for rule in config.number_owner):
        counts["invoices"] = shadow.read_bills(store, config, erp, "erp")
    return counts


def _fx_rate(store: Store, system: System, record_id: str, rate: FxRate) -> None:
    store.run(sql("warehouse.sync", "fx_rate"), **rate._asdict(), source=system.key)


def _customer(config: Config, store: Store, system: System, record_id: str, customer: Customer) -> None:
    """Write what this system may say about a customer. Of two accounts of one customer the first is followed."""
    exact = store.value(
        "select customer_id from core.customer where customer_id = %(id)s and not exists (select from ops.crosswalk "
        "where kind = 'customer' and entity_id = customer_id and system = %(system)s and instance = %(instance)s)",
        id=customer.customer_id, system=system.key, instance=system.instance,
    )  # fmt: skip
    known = identity.resolve(store, "customer", system, record_id, customer.name, exact, customer.customer_id)
    if known.is_double:
        return
    current = store.row("select * from core.customer where customer_id = %(id)s for update", id=known.ours)
    values = customer.model_dump() | {"customer_id": known.ours}
    kept = ownership.allowed(store, config, "customer", known.ours, system, current, values)
    store.run(sql("warehouse.sync", "customer"), **kept)


def _opportunity(store: Store, system: System, record_id: str, deal: Opportunity) -> None:
    store.run(sql("warehouse.sync", "opportunity"), **deal.model_dump(exclude={"lines"}))
    store.run(
        "delete from core.opportunity_line where opportunity_id = %(deal)s and line_id <> all(%(kept)s)",
        deal=record_id, kept=[line.line_id for line in deal.lines],
    )  # fmt: skip
    store.run_many(sql("warehouse.sync", "opportunity_line"), [_line(record_id, line) for line in deal.lines])


def _line(deal: str, line: OpportunityLine) -> dict[str, object]:
    return {"opportunity_id": deal} | line.model_dump() | {"skills": list(line.skills)}


def _rate_card(store: Store, system: System, record_id: str, card: RateCard) -> None:
    store.run(sql("warehouse.sync", "rate_card"), **card.model_dump(exclude={"rates"}))
    store.run(
        sql("warehouse.sync", "drop_rates"),
        card=record_id,
        roles=[rate.role for rate in card.rates],
        days=[rate.valid_from for rate in card.rates],
    )
    in_order = sorted(card.rates, key=lambda rate: rate.valid_from)  # an old price ends before the next begins
    store.run_many(sql("warehouse.sync", "rate"), [{"rate_card_id": record_id} | r.model_dump() for r in in_order])
