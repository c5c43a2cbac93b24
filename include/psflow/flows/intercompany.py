"""
What our companies owe each other for lent hours: what should be transferred less what was, in the books of both.

Who employs a person on the day of the work is HR's word, who signed the contract the CRM's, what an hour costs between
the two `intercompany` in psflow.yaml. What lacks one of these waits as an exception; own hours make nothing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg

from psflow.config import Config
from psflow.contracts import TransferRule
from psflow.errors import TransientError
from psflow.store import exceptions
from psflow.store.connection import Row, Store, sql

_SQL = "warehouse.intercompany"
_HUNDRED = Decimal(100)
_WAITS = {  # reason -> what the exception is about, its field, and what it lacks
    "EMPLOYER_MISSING": ("employment", "employer", "HR does not say which company employs {record_id}"),
    "EMPLOYER_UNKNOWN": ("employment", "employer", "HR says {employer!r}, which is hr_values of no legal entity"),
    "RULE_MISSING": ("transfer_rule", "lender", "no price is set for what {lender} lends {borrower}"),
    "RATE_MISSING": ("transfer_rule", "rates", "the rates of what {lender} lends {borrower} have no {role}"),
    "COST_MISSING": ("cost_rate", "hourly_cost", "there is no cost of {record_id} on those days"),
    "FX_MISSING": ("fx_rate", "rate", "there is no rate from {basis_currency} to {currency} on or before those days"),
    "NO_BILL": ("transfer_rule", "pct_of_bill", "{lender} lends {borrower} at a percentage of bills without hours"),
}  # fmt: skip


def transfer(store: Store, config: Config) -> dict[str, int]:
    """
    Write what lent hours owe and is not written; return hours transferred, transfers taken back, and hours that wait.

    The same again writes nothing. Nothing is done where no legal entity has `hr_values`. Raises TransientError when
    a month is closed meanwhile: the next run counts its hours in the next one.
    """
    if not any(entity.hr_values for entity in config.legal_entities):
        return {"transferred": 0, "reversed": 0, "waiting": 0}
    try:
        with store.transaction("intercompany.transfer"):
            store.run("select pg_advisory_xact_lock(hashtext('intercompany'))")
            # before there are statistics, a guess of one row would loop over all of it
            store.run("set local enable_nestloop = off")
            _stage(store, config)
            counts = store.row(sql(_SQL, "transfer")) or {}
            _say(store, config)
    except psycopg.errors.CheckViolation as error:
        if error.diag.constraint_name != "period_lock":
            raise
        raise TransientError(f"lent hours were not transferred: {error.diag.message_primary}; run it again") from None
    return dict(counts)


def owed(store: Store, period: str | None) -> list[Row]:
    """Return what is owed by pair, currency and month, as both books have it; of one month when it is given."""
    return store.rows(sql(_SQL, "owed"), period=period)


def waiting(store: Store, period: str | None) -> list[Row]:
    """Return hours that wait, by pair, month of the work and what they lack."""
    return store.rows(sql(_SQL, "waiting"), period=period)


def _stage(store: Store, config: Config) -> None:
    companies = [
        {"legal_entity_id": one.legal_entity_id, "starts_on": one.billing_starts_on} for one in config.legal_entities
    ]
    employers = [
        {"employer": value, "legal_entity_id": one.legal_entity_id}
        for one in config.legal_entities for value in one.hr_values
    ]  # fmt: skip
    prices = [price for rule in config.intercompany for price in _prices(rule)]
    store.run(sql(_SQL, "staging"))
    store.run(sql(_SQL, "companies"), companies=_text(companies))
    store.run(sql(_SQL, "employers"), employers=_text(employers))
    store.run(sql(_SQL, "rules"), prices=_text(prices))
    store.run(sql(_SQL, "prices"), prices=_text(prices))
    if any(rule.pct_of_bill for rule in config.intercompany):
        store.run(sql(_SQL, "bills"))
    store.run(sql(_SQL, "hours"))


def _prices(rule: TransferRule) -> Iterator[dict[str, Any]]:
    """Yield the prices of a rule: one a role of a table of rates."""
    said = rule.model_dump(include={"lender", "borrower", "currency", "valid_from", "valid_to"})
    for role, rate in (rule.rates or {}).items():
        yield said | {"price_kind": "rate", "role": role, "hourly_rate": rate, "factor_pct": _HUNDRED}
    if rule.cost_plus_pct is not None:
        yield said | {"price_kind": "cost_plus", "factor_pct": _HUNDRED + rule.cost_plus_pct}
    if rule.pct_of_bill is not None:
        yield said | {"price_kind": "pct_of_bill", "factor_pct": rule.pct_of_bill}


def _text(rows: list[dict[str, Any]]) -> str:
    return json.dumps(rows, default=str)


def _say(store: Store, config: Config) -> None:
    """Say which hours wait, and tell whoever can end it; what waits no more is resolved."""
    store.run(sql(_SQL, "unsay"))
    store.run(sql(_SQL, "say"))
    still = defaultdict[str, list[str]](list)
    findings = [_finding(row) for row in store.rows(sql(_SQL, "waits"))]
    exceptions.open_all(store, config, findings)
    for finding in findings:
        still[finding.entity].append(finding.record_id)
    for entity in sorted({entity for entity, _, _ in _WAITS.values()}):
        exceptions.resolve_others(store, "intercompany", entity, still[entity])


def _finding(row: Row) -> exceptions.Finding:
    entity, field, lacks = _WAITS[row["reason"]]
    said = f"{row['hours']} lent hours from {row['since']} on wait: {lacks.format(**row)}"
    value = {"employer": row["employer"], "rates": row["role"]}.get(field)
    return exceptions.Finding("intercompany", entity, row["record_id"], field, value, said)
