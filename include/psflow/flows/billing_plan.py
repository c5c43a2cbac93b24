"""
The plan of a billing batch: what people see of it, kept under its id with a hash before anybody decides.

Each table of a plan is one file of `warehouse/billing_plan`; the page, the workbook and the JSON show the same rows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from psflow.errors import ConfigurationError
from psflow.store.connection import Row, Store, sql

TABLES: dict[LiteralString, str] = {
    "totals": "What the batch comes to, a row a currency",
    "invoices": "The invoices it would make, one a project and payer",
    "lines": "The lines of those invoices",
    "changes": "Each project against the last period invoiced and against the plan before",
    "held": "What is not in it, and why",
    "caps": "What its caps and purchase orders let through",
    "tax": "The taxes of those invoices, one a category and rate on the sum of their nets",
}
COLUMNS = {
    "amount": "Money without tax, in currency; rounded once a charge, then added up",
    "billed_days": "The same in days, where the price is by the day",
    "billed_hours": "Hours the customer pays: in the customer's increments and up to a cap",
    "cap_id": "The cap, as in billing.cap",
    "change": "amount less last_amount",
    "change_of_plan": "amount less planned_amount",
    "charge_id": "The charge or reversal; `psflow explain` takes it once it is posted",
    "charges": "Number of charges and reversals in it; each is one entry, or part of one",
    "contract_type": "How hours of the contract are billed",
    "cost": "What was paid, in cost_currency",
    "cost_currency": "Currency of the receipt",
    "currency": "Currency of the contract; sums of two currencies are never made",
    "country": "Of the customer, as the CRM writes it",
    "customer": "Whom the invoice is for",
    "day_rate": "Price of one day, in currency; empty where the price is by the hour",
    "engagement_id": "The won deal",
    "expenses": "Part of amount that comes of expenses",
    "fees": "Part of amount that comes of hours",
    "fx_rate": "Units of currency for one of cost_currency",
    "gross": "amount and tax; empty while a tax is missing",
    "hourly_rate": "Price of one hour, or what an hour of a day_rate comes to, in currency; empty for other than hours",
    "hours": "Hours worked, as the PSA has them",
    "id": "The entry as the PSA knows it, or the project",
    "invoice_key": "The invoice; it is its reference in the ERP",
    "invoices": "Number of invoices",
    "items": "Part of amount that comes of contract items: milestones, fees, retainers",
    "kind": "charge, or reversal of an earlier charge",
    "last_amount": "What was invoiced to the project in last_period",
    "last_period": "The last period before this one with an invoice that counts; empty: none",
    "last_plan": "The batch of the same period whose plan was made before this one; empty: none",
    "level": "What the cap is on: entry, line, contract, customer; or it is a purchase order",
    "limit_amount": "Not to exceed, in currency",
    "line_key": "The invoice line; `psflow explain` takes it",
    "of_what": "Role of hours, category of an expense or a contract item",
    "on_excess": "split the entry at the limit, hold it whole, or only warn",
    "over_amount": "What stayed out of the batch because the cap is used up",
    "payer_id": "The payer, where an engagement is split and another than its customer pays; empty: its customer",
    "planned_amount": "What the plan before had for the project",
    "project": "Name of the project",
    "project_code": "The project",
    "purchase_order": "Number of the customer's order that the line is billed under; empty: none",
    "rate_id": "The rate row the price comes from",
    "reason": "Why it is not in the batch",
    "says": "What the exception about it says",
    "scope_id": "Which entry, line, contract or customer",
    "still_free": "limit_amount less used_before and taken; below zero only for a soft cap",
    "taken": "What this batch uses of the cap",
    "taken_back": "Part of amount that takes back what was billed before (credits, corrections)",
    "tax": "Tax in currency, rounded once a category and rate; empty while one is missing",
    "tax_category": "EN 16931: S standard, Z zero, AE reverse charge, E exempt, G export, K intra-community, O no tax",
    "tax_pct": "Its rate in percent",
    "tax_reason": "Why there is no tax, in words and by its code",
    "tax_treatment": "As the contract has it; the company's taxes in psflow.yaml go by it",
    "taxable": "Sum of the nets that the tax is on",
    "used_before": "What invoices that count, here and elsewhere, had used of the cap",
    "vat_id": "VAT id of the customer",
    "version": "Which version of the entry",
    "what": "Time entry, expense, contract item or project",
    "worked_on": "Day of the work or the expense",
}
NUMBERS = {
    "amount", "billed_days", "billed_hours", "change", "change_of_plan", "charges", "cost", "day_rate", "expenses",
    "fees", "fx_rate", "gross", "hourly_rate", "hours", "invoices", "items", "last_amount", "limit_amount",
    "over_amount", "planned_amount", "still_free", "taken", "taken_back", "tax", "tax_pct", "taxable", "used_before",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """A batch as people see it; `plan_hash` is None while nothing is kept, `approvers` how many must approve."""

    batch: Row
    tables: dict[str, list[Row]]
    approvers: int
    content_hash: str | None
    plan_hash: str | None


def keep(store: Store, batch_id: str, content_hash: str) -> None:
    """Keep a batch's plan, once, beside the hash of its content; inside the transaction of its verdict."""
    store.run(
        "insert into billing.plan (batch_id, content_hash, plan) values (%(batch)s, %(content)s, %(plan)s)",
        batch=batch_id, content=content_hash, plan=json.dumps(_made(store, batch_id)),
    )  # fmt: skip


def of(store: Store, batch_id: str) -> Plan:
    """Return the plan that was kept of a batch, or would be now. Raises ConfigurationError for an unknown batch."""
    batch = store.row(
        "select batch.*, billing.approvers_needed(batch_id) as approvers from billing.batch where batch_id = %(batch)s",
        batch=batch_id,
    )
    if batch is None:
        raise ConfigurationError(f"batch {batch_id!r} is unknown; see billing.batch")
    approvers = batch.pop("approvers")
    kept = store.row("select * from billing.plan where batch_id = %(batch)s", batch=batch_id)
    if kept:
        return Plan(batch, kept["plan"], approvers, kept["content_hash"], kept["plan_hash"])
    return Plan(batch, _made(store, batch_id), approvers, batch["content_hash"], None)


def facts(plan: Plan) -> dict[str, str]:
    """Return what a plan is of and what stands for it, as people read it."""
    batch = plan.batch
    return {
        "Batch": batch["batch_id"] if plan.plan_hash else f"{batch['batch_id']}, if it were frozen now",
        "Legal entity": batch["legal_entity_id"],
        "Period": batch["period"],
        "Invoices dated": str(batch["invoiced_on"]),
        "State": batch["state"] if plan.plan_hash else "nothing is frozen or kept; the gate has not looked",
        "Approvers": "one, and who submits" if plan.approvers == 1 else "two, and who submits",
        "Content hash": plan.content_hash or "none",
        "Plan hash": plan.plan_hash or "none",
    }


def open_batch(store: Store, legal_entity_id: str, period: str) -> str | None:
    """Return the batch of a period that waits for people or is being posted; None when none does."""
    found: str | None = store.value(
        "select batch_id from billing.batch where (legal_entity_id, period) = (%(entity)s, %(period)s) "
        "and state in ('frozen', 'checked', 'submitted', 'approved', 'released')",
        entity=legal_entity_id, period=period,
    )  # fmt: skip
    return found


def lacks_approver(store: Store, batch_id: str) -> bool:
    """Whether a batch is approved by fewer persons than it takes."""
    return bool(
        store.value(
            "select count(*) < billing.approvers_needed(%(batch)s) from ops.approval "
            "where batch_id = %(batch)s and step = 'approve' and decision = 'approved'",
            batch=batch_id,
        )
    )


def batches(store: Store, legal_entities: Sequence[str] | None) -> list[Row]:
    """Return the newest 200 batches of some legal entities (None: of all), the newest first."""
    return store.rows(
        sql("warehouse.billing_plan", "batches"),
        entities=None if legal_entities is None else list(legal_entities),
    )


def deciders(store: Store, batch_id: str) -> dict[str, str]:
    """Return person -> why they are not asked about a batch again: they decided on it."""
    rows = store.rows("select person, step from ops.approval where batch_id = %(batch)s", batch=batch_id)
    return {row["person"]: f"decided on it ({row['step']})" for row in rows}


def decisions(store: Store, batch_id: str) -> list[Row]:
    """Return who decided what on a batch, and on batches of its period before it that were rejected, oldest first."""
    return store.rows(sql("warehouse.billing_plan", "decisions"), batch=batch_id)


def plan_equals_posted(store: Store) -> list[Row]:
    """
    Return where what was posted differs from what was planned; empty when nothing does.

    Each row is {batch_id, what, key, planned, found}: invoices and lines of the ledger, and documents of the ERP that
    were read.
    """
    return store.rows(sql("warehouse.billing_plan", "differences"))


def _made(store: Store, batch_id: str) -> dict[str, Any]:
    """Return the tables as they are now; amounts and days as text, as JSON keeps them."""
    tables = {name: store.rows(sql("warehouse.billing_plan", name), batch=batch_id) for name in TABLES}
    made: dict[str, Any] = json.loads(json.dumps(tables, default=str))
    return made
