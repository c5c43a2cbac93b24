"""What contracts bill beside hours and expenses: their terms and the facts, judged by pure rules, into one table."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from pydantic import TypeAdapter, ValidationError

from psflow.contracts import LegalEntity
from psflow.contracts.terms import (
    BillableItem,
    CostPlusTerms,
    FixedFeeTerms,
    MilestoneTerms,
    RetainerTerms,
    SubscriptionTerms,
    Terms,
)
from psflow.rules import cost_plus, fixed_fee, milestone, retainer, subscription
from psflow.store.connection import Row, Store, sql

_TERMS: TypeAdapter[Terms] = TypeAdapter(Terms)


class _Held(Exception):
    """A term that cannot be judged: nothing of it is billed and nothing taken back; the reason is its only argument."""


@dataclass
class _Facts:
    """What the rules judge, by contract; a contract whose costs are not all known is in `unknown`."""

    acceptances: dict[str, list[milestone.Acceptance]] = field(default_factory=lambda: defaultdict(list))
    hours: dict[str, dict[str, Decimal]] = field(default_factory=lambda: defaultdict(dict))
    costs: dict[str, dict[str, dict[str, Decimal]]] = field(default_factory=lambda: defaultdict(dict))
    unknown: set[str] = field(default_factory=set)


def stage(store: Store, entity: LegalEntity, until: dt.date) -> None:
    """Add the items of a legal entity's contracts up to a day to `billing_work`, and the terms that are held."""
    rows = store.rows(sql("warehouse.billing", "terms"), entity=entity.legal_entity_id)
    if not rows:
        return
    facts, made = _facts(store, entity), list[tuple[object, ...]]()
    for row in rows:
        try:
            made += [_line(row, item) for item in _judge(row, facts, until) if item.worked_on <= until]
        except _Held as held:
            _keep(store, row)
            made.append(_held_line(row, until, str(held)))
    with store.copy(sql("warehouse.billing", "copy_items")) as stream:
        for line in made:
            stream.write_row(line)


def _judge(row: Row, facts: _Facts, until: dt.date) -> list[BillableItem]:
    """Return a term's items. Raises _Held when its terms cannot be read or a cost is missing."""
    contract, currency = row["contract_id"], row["currency"]
    try:
        terms = _TERMS.validate_python(row["terms"])
    except ValidationError:
        raise _Held("TERMS_INVALID") from None
    match terms:
        case MilestoneTerms():
            return milestone.items(terms, currency, facts.acceptances[contract], until)
        case FixedFeeTerms():
            return fixed_fee.items(terms, currency, until)
        case RetainerTerms():
            return retainer.items(terms, currency, facts.hours[contract], until)
        case SubscriptionTerms():
            return subscription.items(terms, currency, until)
        case CostPlusTerms():
            if contract in facts.unknown:
                raise _Held("COST_MISSING")
            return cost_plus.items(terms, currency, facts.costs[contract], until)


def _line(row: Row, item: BillableItem) -> tuple[object, ...]:
    key = f"item:{row['contract_id']}:{row['term_id']}:{item.part}"
    return (*_head(row, key), item.worked_on, item.label, row["version"], item.amount, item.currency, None)


def _held_line(row: Row, until: dt.date, reason: str) -> tuple[object, ...]:
    key = f"item:{row['contract_id']}:{row['term_id']}"
    return (*_head(row, key), until, row["term_id"], row["version"], None, row["currency"], reason)


def _head(row: Row, key: str) -> tuple[object, ...]:
    return "item", key, key, row["version"], row["kind"], row["project_code"], row["contract_id"], row["customer_id"]


def _keep(store: Store, row: Row) -> None:
    store.run(
        sql("warehouse.billing", "keep_items"),
        prefix=f"item:{row['contract_id']}:{row['term_id']}:", contract=row["contract_id"], customer=row["customer_id"],
    )  # fmt: skip


def _facts(store: Store, entity: LegalEntity) -> _Facts:
    facts = _Facts()
    for row in store.rows(sql("warehouse.billing", "acceptances"), entity=entity.legal_entity_id):
        facts.acceptances[row.pop("contract_id")].append(milestone.Acceptance(**row))
    for row in store.rows(sql("warehouse.billing", "retainer_hours")):
        facts.hours[row["contract_id"]][row["month"]] = row["hours"]
    for row in store.rows(sql("warehouse.billing", "costs")):
        facts.costs[row["contract_id"]].setdefault(row["month"], {})[row["kind"]] = row["amount"]
        if row["amount"] is None:
            facts.unknown.add(row["contract_id"])
    return facts
