"""
What should be billed less what was, worked out in one transaction's own tables, and what is said about the rest.

Per-row rules are the SQL of `warehouse/billing`, in the order in which they run here; what a contract bills beside its
hours and expenses are the items of `billing_items`.
"""

from __future__ import annotations

import datetime as dt
from itertools import groupby
from typing import Any

from psflow.config import Config
from psflow.contracts import LegalEntity
from psflow.flows import billing_items, billing_tax
from psflow.store import exceptions
from psflow.store.connection import Row, Store, sql

CAP_LEVELS = ("entry", "customer_on_line", "line", "contract", "customer")  # each lies in the next
_WHY = {
    "RATE_MISSING": "no {currency} rate for {role} on {worked_on} on the rate card of {project_code}",
    "RATE_AMBIGUOUS": "two {currency} rates of one rank for {role} on {worked_on} on {project_code}; end one of them",
    "FX_MISSING": "no rate from {cost_currency} to {currency} on or before {worked_on}; enter it in the ERP",
    "COST_MISSING": "a cost or exchange rate is missing, so {category} of {project_code} bills nothing new",
    "TERMS_INVALID": "version {terms_version} of {category} of {project_code} lacks what its kind needs; agree another",
    "QUANTITY_MISSING": "{category} on {worked_on} has no quantity, and its policy is a price or limit a unit",
}
_FIELD = {
    "RATE_MISSING": "role", "RATE_AMBIGUOUS": "role", "FX_MISSING": "currency", "COST_MISSING": "cost",
    "TERMS_INVALID": "terms", "QUANTITY_MISSING": "quantity",
}  # fmt: skip

_NO_ORDER = {
    "PURCHASE_ORDER_EXCEEDED": (
        "amount", "they are more than is left of purchase order {number}; load a higher amount or another order"
    ),
    "PURCHASE_ORDER_NOT_VALID": ("valid_to", "no purchase order is valid on those days; load one, or its new valid_to"),
    "PURCHASE_ORDER_MISSING": ("number", "a purchase order is required and there is none; load the customer's"),
}  # fmt: skip


def stage_difference(
    store: Store, entity: LegalEntity, until: dt.date, since: dt.date | None = None, anew_from: dt.date | None = None,
    *, keeps_prices: bool = True, skips_settled: bool = False,
) -> None:  # fmt: skip
    """
    Stage, for this transaction, what should be billed up to a day less what was, in `billing_difference`.

    What was done before `since` is neither billed nor taken back (None: all of it is looked at). From `anew_from` on
    it is priced as if none of it had been billed: for looking only, nothing staged so may be frozen. What is frozen
    and not posted keeps its prices, unless `keeps_prices` is False (`rerate`). `skips_settled`: hours that are invoiced
    whole and as they are now are looked at no more; who compares other systems' bills needs them.
    """
    scope: dict[str, Any] = {
        "entity": entity.legal_entity_id, "starts_on": entity.billing_starts_on, "since": since, "until": until,
        "levels": list(entity.rate_levels), "specificity": list(entity.rate_specificity),
        "frozen": frozen_batch(store, entity.legal_entity_id) if keeps_prices and not anew_from else None,
    }  # fmt: skip
    store.run("set local default_statistics_target = 10")  # how many rows there are is what the planner must know
    store.run(sql("warehouse.billing", "staging"))
    billing_tax.stage(store, entity)
    store.run("set local enable_nestloop = off")  # the next read whole tables, of which little may be known yet
    if skips_settled:
        store.run(sql("warehouse.billing", "settled"), **scope)
    store.run("analyze billing_settled, billing_taxed")
    store.run(sql("warehouse.billing", "passed"), **scope)
    store.run("set local enable_nestloop = on")
    store.run(sql("warehouse.billing", "live"), **scope)
    store.run("analyze billing_passed")
    if anew_from:
        anew = "delete from billing_live where worked_on between %(from)s and %(until)s"
        store.run(anew, **scope | {"from": anew_from})
    has_overtime = _split_overtime(store, scope)
    store.run(sql("warehouse.billing", "rates"), **scope)
    store.run("analyze billing_rate")
    store.run(sql("warehouse.billing", "price"), **scope)
    if has_overtime:
        store.run(sql("warehouse.billing", "overtime_held"))
    billing_items.stage(store, entity, until)
    store.run("analyze billing_live, billing_work")
    for step in ("fate", "owe"):
        store.run(sql("warehouse.billing", step), **scope)
    store.run("analyze billing_owed")
    if store.run(sql("warehouse.billing", "room"), **scope):
        for level in CAP_LEVELS:
            store.run(sql("warehouse.billing", "cap"), level=level)
    _put_under_orders(store, scope)
    store.run(sql("warehouse.billing", "difference"), **scope)
    if store.value("select exists (select from core.split)"):
        store.run("analyze billing_difference")
        store.run(sql("warehouse.billing", "split"))
        store.run(sql("warehouse.billing", "split_tax"))
    store.run("analyze billing_difference")


def unstage(store: Store) -> None:
    """Make room for another staging in the same transaction."""
    store.run(
        "drop table billing_passed, billing_rate, billing_settled, billing_taxed, billing_live, billing_part, "
        "billing_work, billing_owed, billing_room, billing_left, billing_difference, billing_waits"
    )


def frozen_batch(store: Store, legal_entity_id: str) -> str | None:
    """Return the batch that is frozen and not posted, rejected or failed, stale or not; its hours keep their prices."""
    found: str | None = store.value(sql("warehouse.billing", "frozen"), entity=legal_entity_id)
    return found


def _split_overtime(store: Store, scope: dict[str, Any]) -> int:
    """Stage the parts of hours on contracts that agreed on overtime; return how many, 0 where none did."""
    if not store.value("select exists (select from core.overtime)"):
        return 0
    parts = store.run(sql("warehouse.billing", "overtime"), **scope)
    store.run("analyze billing_part")
    return parts


def _put_under_orders(store: Store, scope: dict[str, Any]) -> None:
    """Put what is owed under the purchase orders of its contract, and hold what none of them takes."""
    orders = store.value(sql("warehouse.billing", "order_places"), **scope)
    if orders is None:
        return
    for place in range(1, orders + 1):
        store.run(sql("warehouse.billing", "order"), place=place)
    store.run(sql("warehouse.billing", "order_hold"))


def report_left_out(
    store: Store, config: Config, legal_entity_id: str, until: dt.date, since: dt.date | None = None
) -> None:
    """Say what the difference does not bill and why: in `billing.left_out`, as exceptions where it takes a person."""
    scope: dict[str, Any] = {"entity": legal_entity_id, "until": until, "since": since}
    store.run(sql("warehouse.billing", "leave_out"), **scope)
    store.run("analyze billing_left")
    for step in ("say_anew", "say", "resolve_entries", "resolve_void"):
        store.run(sql("warehouse.billing", step), **scope)
    unrated = store.rows(
        "select distinct on (entry_key) * from billing_difference where kind = 'unrated' order by entry_key"
    )
    caps = store.rows(sql("warehouse.billing", "cap_use"))
    waiting = [_order(row) for row in store.rows(sql("warehouse.billing", "order_waits"), **scope)]
    credits = _set_credits_aside(store, scope)
    exceptions.open_all(store, config, [*map(_unrated, unrated), *map(_cap, caps), *waiting, *map(credit, credits)])
    store.run(sql("warehouse.billing", "resolve_credits"), credits=[r["project_code"] for r in credits], **scope)
    store.run(sql("warehouse.billing", "resolve_caps"), caps=[r["cap_id"] for r in caps])
    still = [f"{finding.record_id} {finding.field}" for finding in waiting]
    store.run(sql("warehouse.billing", "resolve_orders"), waiting=still, **scope)
    terms = [_term(r) for r in unrated if r["source"] == "item"]
    store.run(sql("warehouse.billing", "resolve_terms"), terms=terms, **scope)


def _unrated(row: Row) -> exceptions.Finding:
    said, field = _WHY[row["reason"]].format(**row), _FIELD[row["reason"]]
    if row["source"] == "item":
        return exceptions.Finding("rate", "contract_term", _term(row), field, None, said)
    record = row["time_entry_id"] or row["expense_entry_id"]
    value = {"role": row["role"], "currency": row["cost_currency"]}.get(field)
    return exceptions.Finding("rate", f"{row['source']}_entry", record, field, value, said)


def _term(row: Row) -> str:
    return str(row["item_id"]).removeprefix("item:")


def _cap(row: Row) -> exceptions.Finding:
    of = "the cap of {limit_amount} {currency} on {level} {scope_id}".format(**row)
    over = f"{row['over_amount']} {row['currency']} are over {of} and wait for a change order or a write-off"
    said = over if row["over_amount"] else f"{row['used']} {row['currency']} are used of {of}"
    return exceptions.Finding(
        "billing", "cap", row["cap_id"], "amount", str(row["over_amount"]), said, row["engagement_id"],
        row["over_amount"] or None, row["currency"] if row["over_amount"] else None,
    )  # fmt: skip


def _order(row: Row) -> exceptions.Finding:
    field, why = _NO_ORDER[row["reason"]]
    said = f"{row['amount']} {row['currency']} of {row['contract_id']}, worked from {row['since']} on, wait: " + why
    return exceptions.Finding(
        "billing", "purchase_order", row["record_id"], field, str(row["amount"]), said.format(**row),
        row["engagement_id"], row["amount"], row["currency"],
    )  # fmt: skip


def _set_credits_aside(store: Store, scope: dict[str, Any]) -> list[Row]:
    """Take what waits out of the difference and return it by project; one may sink another that shares an entry."""
    waiting = list[Row]()
    while found := store.rows(sql("warehouse.billing", "credits")):
        alone, whole = [r for r in found if r["payer"]], [r["project_code"] for r in found if not r["payer"]]
        projects, payers = [r["project_code"] for r in alone], [r["payer_id"] for r in alone]
        store.run(sql("warehouse.billing", "wait"), projects=projects, payers=payers, whole=whole)
        waiting += found
    if any(row["payer"] for row in waiting):
        store.run(sql("warehouse.billing", "wait_left"), **scope)
        store.run(sql("warehouse.billing", "say"), **scope)
    return [_of_project(list(rows)) for _, rows in groupby(sorted(waiting, key=_project), key=_project)]


def _project(row: Row) -> str:
    return str(row["project_code"])


def _of_project(rows: list[Row]) -> Row:
    """Return what waits of a project as one: an exception is a project's."""
    payers = ", ".join(sorted({row["payer"] for row in rows if row["payer"]}))
    return rows[0] | {"amount": sum(row["amount"] for row in rows), "payer": payers}


def credit(row: Row) -> exceptions.Finding:
    """Return the exception of a project whose credits exceed its hours; `payer` says whose invoice alone waits."""
    whose = f" for {row['payer']}, whose invoice alone" if row.get("payer") else ""
    said = f"a credit of {-row['amount']} {row['currency']} to {row['project_code']}{whose} waits until hours exceed it"
    return exceptions.Finding("billing", "project", row["project_code"], "amount", str(row["amount"]), said)
