"""
A billing batch of one legal entity: freeze the difference, let the gate split it, have two people decide.

Nothing here reaches the ERP; `billing_posting` does, and trusts only what these steps wrote down.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg

from psflow.config import Config, Step
from psflow.contracts import LegalEntity, Period
from psflow.errors import ConfigurationError, GateFailed
from psflow.flows.gate import judge
from psflow.gates.suite import Gate, Verdict
from psflow.store import exceptions, gate_runs
from psflow.store.connection import Row, Store, sql

SUITE = "billing/batch"
_EXPENSE = "expense:"  # begins the entry_key of an expense; an hour's is its id
_RESULT: dict[Step, str] = {"submit": "submitted", "approve": "approved"}


def freeze(store: Store, config: Config, legal_entity_id: str, period: Period, invoiced_on: dt.date) -> str | None:
    """
    Freeze what should be billed up to the end of `period` and was not, and return the batch's id; None when nothing.

    A batch of this period that is being posted is returned as it is; one that waits for a decision becomes stale: the
    new one holds all of it. Hours without a rate, expenses without an exchange rate, and projects that would be
    credited below zero, become exceptions. Raises GateFailed while a batch of another period is being posted.
    """
    entity = config.legal_entity(legal_entity_id)
    with store.transaction("billing.freeze"):
        alone(store, legal_entity_id)
        if released := _released(store, legal_entity_id, period):
            return released
        stage_difference(store, entity, period.end)
        _report_left_out(store, config, legal_entity_id, period.end)
        store.run(
            "update billing.batch set state = 'stale' where legal_entity_id = %(entity)s "
            "and state in ('frozen', 'checked', 'submitted', 'approved')",
            entity=legal_entity_id,
        )
        made = store.row(sql("warehouse.billing", "freeze"), entity=legal_entity_id, period=period.name, on=invoiced_on)
    return made["batch_id"] if made else None


def alone(store: Store, legal_entity_id: str) -> None:
    """Wait until nobody else freezes or releases for this legal entity; holds until the transaction ends."""
    store.run("select pg_advisory_xact_lock(hashtext('billing:' || %(entity)s))", entity=legal_entity_id)


def _released(store: Store, legal_entity_id: str, period: Period) -> str | None:
    """Return the batch that is being posted, if it is of this period. Raises GateFailed when it is of another."""
    found = store.row(
        "select batch_id, period from billing.batch where legal_entity_id = %(entity)s and state = 'released'",
        entity=legal_entity_id,
    )
    if found and found["period"] != period.name:
        raise GateFailed(
            f"batch {found['batch_id']} is still being posted, so {period.name} of {legal_entity_id} was not billed; "
            f"run billing for {found['period']} to finish it, then for {period.name}"
        )
    return str(found["batch_id"]) if found else None


def stage_difference(store: Store, entity: LegalEntity, until: dt.date) -> None:
    """Stage, for this transaction, what should be billed less what was, in `billing_difference`."""
    store.run(sql("warehouse.billing", "staging"))
    store.run(
        sql("warehouse.billing", "difference"),
        entity=entity.legal_entity_id,
        starts_on=entity.billing_starts_on,
        until=until,
    )
    store.run("analyze billing_difference")


def _report_left_out(store: Store, config: Config, legal_entity_id: str, until: dt.date) -> None:
    scope: dict[str, Any] = {"entity": legal_entity_id, "until": until}
    store.run(sql("warehouse.billing", "resolve_entries"), **scope)
    store.run(sql("warehouse.billing", "resolve_void"), **scope)
    unrated = store.rows("select * from billing_difference where kind = 'unrated' order by entry_key")
    credits = _set_credits_aside(store)
    exceptions.open_all(store, config, [*map(_unrated, unrated), *map(_credit, credits)])
    store.run(sql("warehouse.billing", "resolve_credits"), credits=[r["project_code"] for r in credits], **scope)


def _unrated(row: Row) -> exceptions.Finding:
    if row["source"] == "time":
        said = "no {currency} rate for {role} on {worked_on} on the rate card of {project_code}".format(**row)
        return exceptions.Finding("rate", "time_entry", row["time_entry_id"], "role", row["role"], said)
    said = "no rate from {cost_currency} to {currency} on or before {worked_on}; enter it in the ERP".format(**row)
    return exceptions.Finding("rate", "expense_entry", row["expense_entry_id"], "currency", row["cost_currency"], said)


def _set_credits_aside(store: Store) -> list[Row]:
    """Take what waits out of the difference and return its projects; each one may sink another that shares an entry."""
    waiting = list[Row]()
    while found := store.rows(sql("warehouse.billing", "credits")):
        store.run(sql("warehouse.billing", "wait"), projects=[r["project_code"] for r in found])
        waiting += found
    return waiting


def _credit(row: Row) -> exceptions.Finding:
    said = f"a credit of {-row['amount']} {row['currency']} to {row['project_code']} waits until its hours exceed it"
    return exceptions.Finding("billing", "project", row["project_code"], "amount", str(row["amount"]), said)


def check(store: Store, config: Config, gate: Gate, batch_id: str) -> dict[str, str | int]:
    """
    Let the gate split a frozen batch; return its content hash and counts.

    A failing row holds every line of its entry. Raises GateFailed, and ends the batch, without a verdict to trust
    or with nothing left to bill.
    """
    if find(store, batch_id)["state"] != "frozen":
        return summary(store, batch_id)
    try:
        verdict = judge(store, gate, SUITE, batch_id, lambda: _content_hash(store, batch_id))
    except GateFailed:
        with store.transaction("billing.failed"):
            _move(store, batch_id, "failed", ["frozen"])
        raise
    with store.transaction("billing.verdict"):
        content = _apply(store, config, batch_id, verdict) if _still_frozen(store, batch_id) else ""
    if content is None:
        raise GateFailed(f"batch {batch_id}: the gate held every line; nothing is left to bill")
    return summary(store, batch_id)


def _still_frozen(store: Store, batch_id: str) -> bool:
    """Whether nobody else applied a verdict, or froze anew, meanwhile; nobody can until the transaction ends."""
    state = store.value("select state from billing.batch where batch_id = %(batch)s for update", batch=batch_id)
    return bool(state == "frozen")


def _apply(store: Store, config: Config, batch_id: str, verdict: Verdict) -> str | None:
    """Hold what failed, tell everybody concerned, and return the hash of what is left; None when nothing is."""
    failing = sorted({row.key for row in verdict.failing})
    sunk = _hold(store, batch_id, failing)
    findings = [
        exceptions.Finding("billing", *_entry(row.key), row.field, row.value, f"{row.rule}: {row.says}")
        for row in verdict.failing
    ]
    exceptions.open_all(store, config, findings + [_credit(row) for row in sunk])
    _resolve_clean(store, batch_id)
    content = _content_hash(store, batch_id)
    if content is None:
        gate_runs.record_failure(store, SUITE, batch_id, "every line is held")
    else:
        held = store.value("select count(*) from billing.batch_hold where batch_id = %(batch)s", batch=batch_id)
        gate_runs.record(
            store, SUITE, batch_id, content, verdict.rows, held, verdict.checks, verdict.failing, verdict.results
        )
    _move(store, batch_id, "checked" if content else "failed", ["frozen"], content)
    return content


def _hold(store: Store, batch_id: str, failing: list[str]) -> list[Row]:
    """Hold entries, and every project that comes out at or below zero without what is held; return those projects."""
    hold, sunk = sql("warehouse.billing", "hold"), list[Row]()
    store.run(hold, batch=batch_id, entries=failing, projects=[])
    while found := store.rows(sql("warehouse.billing", "sunk"), batch=batch_id):
        store.run(hold, batch=batch_id, entries=[], projects=[row["project_code"] for row in found])
        sunk += found
    return sunk


def _entry(key: str) -> tuple[str, str]:
    """Return entity and record id of what a line bills."""
    return ("expense_entry", key.removeprefix(_EXPENSE)) if key.startswith(_EXPENSE) else ("time_entry", key)


def _resolve_clean(store: Store, batch_id: str) -> None:
    rows = store.rows("select distinct entry_key from billing.batch_content where batch_id = %(batch)s", batch=batch_id)
    clean = [_entry(row["entry_key"]) for row in rows]
    for entity in ("time_entry", "expense_entry"):
        exceptions.resolve(store, "billing", entity, [record for of, record in clean if of == entity])


def summary(store: Store, batch_id: str) -> dict[str, str | int]:
    """Return what an approver decides on: content hash, projects, lines, held entries, and totals as text."""
    row = store.row(sql("warehouse.billing", "summary"), batch=batch_id)
    if row is None:
        raise ConfigurationError(f"batch {batch_id!r} is unknown; see billing.batch")
    return dict(row)


def decide(
    store: Store,
    config: Config,
    batch_id: str,
    step: Step,
    *,
    airflow_user: str,
    approved: bool,
    content_hash: str,
    run_id: str,
) -> None:
    """
    Store one person's decision on the content they were shown.

    Raises GateFailed when the person may not (not assigned, the preparer approving, changed content) and on a reject.
    """
    person = config.person_of(airflow_user)
    if step not in person.may:
        raise GateFailed(f"{airflow_user} may not {step} billing batches; psflow.yaml names who may")
    try:
        with store.transaction(f"billing.{step}"):
            store.run(
                sql("warehouse.billing", "decide"),
                batch=batch_id, step=step, person=person.person, user=airflow_user,
                decision="approved" if approved else "rejected", hash=content_hash, run=run_id,
            )  # fmt: skip
            came_from = ["checked"] if step == "submit" else ["submitted"]
            if not _move(store, batch_id, _RESULT[step] if approved else "rejected", came_from):
                raise GateFailed(f"batch {batch_id} is not waiting for anyone to {step} it")
    except (psycopg.errors.CheckViolation, psycopg.errors.UniqueViolation) as error:
        raise GateFailed(f"batch {batch_id} was not {_RESULT[step]}: {error.diag.message_primary}") from None
    if not approved:
        raise GateFailed(f"batch {batch_id} was rejected by {airflow_user}; nothing is posted")


def find(store: Store, batch_id: str) -> Row:
    """Return a batch's row. Raises ConfigurationError when there is none."""
    found = store.row("select * from billing.batch where batch_id = %(batch)s", batch=batch_id)
    if found is None:
        raise ConfigurationError(f"batch {batch_id!r} is unknown; see billing.batch")
    return found


def _content_hash(store: Store, batch_id: str) -> str | None:
    found: str | None = store.value("select billing.content_hash(%(batch)s)", batch=batch_id)
    return found


def _move(store: Store, batch_id: str, to: str, allowed: list[str], content_hash: str | None = None) -> bool:
    done = store.run(
        "update billing.batch set state = %(to)s, content_hash = coalesce(%(hash)s, content_hash) "
        "where batch_id = %(batch)s and state = any(%(allowed)s)",
        to=to, batch=batch_id, allowed=allowed, hash=content_hash,
    )  # fmt: skip
    return bool(done)
