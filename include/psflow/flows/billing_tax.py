"""The tax of what is billed: staged by project and day, and said of what has none; who buys is read in one place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal

from psflow.contracts import LegalEntity, TaxRule
from psflow.rules.tax import Buyer, taxes_of, why_none
from psflow.store import exceptions
from psflow.store.connection import Row, Store, sql

_SAID = ("treatment", "category", "rate_pct", "reason_code", "reason", "erp_tax")


def stage(store: Store, entity: LegalEntity) -> None:
    """Stage, for this transaction, which tax the work on each project takes from day to day."""
    if not entity.taxes:
        return
    ids = _told(store, entity)
    rows = store.rows(sql("warehouse.billing", "buyers"), entity=entity.legal_entity_id)
    found = [days for row in rows for days in _days(entity, row, ids)]
    store.run(sql("warehouse.billing", "tax"), found=json.dumps(found, default=str))


def hold(store: Store, entity: LegalEntity, batch_id: str) -> list[exceptions.Finding]:
    """Hold projects of a batch whose invoice lacks a tax, or has two that may not meet; return what to say of it."""
    found = [_finding(entity, row) for row in _held(store, "untaxed", batch_id)]
    found += [_mixed(row) for row in _held(store, "mixed_tax", batch_id)]
    held = [finding.record_id for finding in found]
    store.run(sql("warehouse.billing", "resolve_taxes"), batch=batch_id, untaxed=held)
    return found


def _held(store: Store, query: Literal["untaxed", "mixed_tax"], batch_id: str) -> list[Row]:
    """Hold the projects that a query finds, and return its rows."""
    rows = store.rows(sql("warehouse.billing", query), batch=batch_id)
    projects = [row["project_code"] for row in rows]
    store.run(sql("warehouse.billing", "hold"), batch=batch_id, entries=[], projects=projects)
    return rows


def _told(store: Store, entity: LegalEntity) -> dict[tuple[object, ...], int]:
    """Return what a rule says of a tax -> its id, after new ones were written down."""
    scope = {"entity": entity.legal_entity_id, "rounding": entity.tax_rounding}
    said = json.dumps([dict(zip(_SAID, _key(rule), strict=True)) for rule in entity.taxes], default=str)
    store.run(sql("warehouse.billing", "taxes"), said=said, **scope)
    rules = entity.model_dump_json(include={"taxes", "tax_rounding"}, exclude_none=True)
    store.run(sql("warehouse.billing", "tax_rules"), entity=entity.legal_entity_id, rules=rules)
    rows = store.rows(
        "select * from billing.tax where (legal_entity_id, rounding) = (%(entity)s, %(rounding)s)", **scope
    )
    return {tuple(row[name] for name in _SAID): row["tax_id"] for row in rows}


def _key(rule: TaxRule) -> tuple[object, ...]:
    return tuple(getattr(rule, name) for name in _SAID)


def _days(entity: LegalEntity, row: Row, ids: dict[tuple[object, ...], int]) -> Iterator[Row]:
    whose = {"project_code": row["project_code"], "payer_id": row["payer_id"]}
    for rule in taxes_of(entity.taxes, row["treatment"], _buyer(row)):
        yield whose | {"valid_from": rule.valid_from, "valid_to": rule.valid_to, "tax_id": ids[_key(rule)]}


def _buyer(row: Row) -> Buyer:
    return Buyer(row["country"], row["vat_id"])


def _finding(entity: LegalEntity, row: Row) -> exceptions.Finding:
    buyer = _buyer(row)
    field, value, why = "vat_id", buyer.vat_id, "its tax names the customer's VAT id, and the CRM has none"
    if row["first_on"] is not None:
        field, value, why = why_none(entity.taxes, row["treatment"], buyer, row["first_on"])
    return exceptions.Finding(
        "tax", "project", row["project_code"], field, value, f"its invoice waits: {why}", row["engagement_id"],
        abs(row["amount"]), row["currency"],
    )  # fmt: skip


def _mixed(row: Row) -> exceptions.Finding:
    said = (
        f"its invoice waits: {row['taxes']} cannot stand on one document, since beside category O there is no other "
        "(EN 16931, BR-O-11 to BR-O-14); let its treatment or `taxes` say one tax for all of its work, or bill the "
        "month of one of them first"
    )
    return exceptions.Finding(
        "tax", "project", row["project_code"], "category", row["taxes"], said, row["engagement_id"],
        abs(row["amount"]), row["currency"],
    )  # fmt: skip
