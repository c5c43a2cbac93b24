"""
A billing batch of one legal entity: freeze the difference, let the gate split it, have two people decide.

Nothing here reaches the ERP; `billing_posting` does, and trusts only what these steps wrote down.
"""

from __future__ import annotations

import datetime as dt

import psycopg

from psflow.config import Config, Step
from psflow.contracts import Period
from psflow.contracts.text import one_line
from psflow.errors import ConfigurationError, GateFailed
from psflow.flows import billing_plan, billing_tax, shadow
from psflow.flows.billing_difference import credit, report_left_out, stage_difference
from psflow.flows.gate import judge
from psflow.gates.suite import Gate, Verdict
from psflow.store import duties, exceptions, gate_runs
from psflow.store.connection import Row, Store, sql

SUITE = "billing/batch"
_EXPENSE = "expense:"  # begins the entry_key of an expense; an hour's is its id
_RESULT: dict[Step, str] = {"submit": "submitted", "approve": "approved"}


def freeze(
    store: Store, config: Config, legal_entity_id: str, period: Period, invoiced_on: dt.date,
    since: dt.date | None = None,
) -> str | None:  # fmt: skip
    """
    Freeze what should be billed up to the end of `period` and was not, and return the batch's id; None when nothing.
    Work before `since` is left alone.

    A batch of this period that is being posted is returned as it is; one that waits for a decision becomes stale: the
    new one holds all of it. Hours without a rate, expenses without an exchange rate, and projects that would be
    credited below zero, become exceptions. Raises GateFailed while a batch of another period is being posted.
    """
    with store.transaction("billing.freeze"):
        return freeze_in(store, config, legal_entity_id, period, invoiced_on, since)


def freeze_in(
    store: Store, config: Config, legal_entity_id: str, period: Period, invoiced_on: dt.date,
    since: dt.date | None = None, *, keeps_prices: bool = True,
) -> str | None:  # fmt: skip
    """Freeze inside a transaction of the caller's, who may undo it: a plan without a batch is made like that."""
    entity = config.legal_entity(legal_entity_id)
    alone(store, legal_entity_id)
    if released := _released(store, legal_entity_id, period):
        return released
    stage_difference(store, entity, period.end, since, keeps_prices=keeps_prices, skips_settled=not config.number_owner)
    shadow.leave_to_owners(store, config, legal_entity_id, None if since else period.end)
    report_left_out(store, config, legal_entity_id, period.end, since)
    store.run(
        "update billing.batch set state = 'stale' where legal_entity_id = %(entity)s "
        "and state in ('frozen', 'checked', 'submitted', 'approved')",
        entity=legal_entity_id,
    )
    duties.tell(store, config)
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
    untaxed, sunk = _hold(store, config, batch_id, failing)
    findings = [
        exceptions.Finding("billing", *_entry(row.key), row.field, row.value, f"{row.rule}: {row.says}")
        for row in verdict.failing
    ]
    exceptions.open_all(store, config, findings + untaxed + [credit(row) for row in sunk])
    _resolve_clean(store, batch_id)
    content = _content_hash(store, batch_id)
    if content is None:
        gate_runs.record_failure(store, SUITE, batch_id, "every line is held")
    else:
        billing_plan.keep(store, batch_id, content)
        held = store.value("select count(*) from billing.batch_hold where batch_id = %(batch)s", batch=batch_id)
        gate_runs.record(
            store, SUITE, batch_id, content, verdict.rows, held, verdict.checks, verdict.failing, verdict.results
        )
    _move(store, batch_id, "checked" if content else "failed", ["frozen"], content)
    return content


def _hold(
    store: Store, config: Config, batch_id: str, failing: list[str]
) -> tuple[list[exceptions.Finding], list[Row]]:
    """Hold entries, projects without a tax, and those that come out at or below zero without what is held then."""
    hold, sunk = sql("warehouse.billing", "hold"), list[Row]()
    store.run(hold, batch=batch_id, entries=failing, projects=[])
    untaxed = billing_tax.hold(store, config.legal_entity(find(store, batch_id)["legal_entity_id"]), batch_id)
    while found := store.rows(sql("warehouse.billing", "sunk"), batch=batch_id):
        store.run(hold, batch=batch_id, entries=[], projects=[row["project_code"] for row in found])
        sunk += found
    return untaxed, sunk


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
    reason: str | None = None,
) -> None:
    """
    Store one person's decision on the content they were shown, with what they said.

    A batch over the limit of psflow.yaml waits for a second approver. Raises GateFailed when the person may not (not
    assigned, the preparer approving, changed content) and on a reject.
    """
    person = config.person_of(airflow_user)
    entity = find(store, batch_id)["legal_entity_id"]
    if person not in config.people_who_may(step, entity):
        raise GateFailed(f"{airflow_user} may not {step} billing batches of {entity}; psflow.yaml names who may")
    try:
        with store.transaction(f"billing.{step}"):
            duties.tell(store, config)
            store.run(
                sql("warehouse.billing", "decide"),
                batch=batch_id, step=step, person=person.person, user=airflow_user,
                decision="approved" if approved else "rejected", hash=content_hash, run=run_id,
                reason=(reason or "").strip() or None,
            )  # fmt: skip
            came_from = "checked" if step == "submit" else "submitted"
            becomes = _RESULT[step] if approved else "rejected"
            if becomes == "approved" and billing_plan.lacks_approver(store, batch_id):
                becomes = came_from
            if not _move(store, batch_id, becomes, [came_from]):
                raise GateFailed(f"batch {batch_id} is not waiting for anyone to {step} it")
    except (psycopg.errors.CheckViolation, psycopg.errors.UniqueViolation) as error:
        raise GateFailed(f"batch {batch_id} was not {_RESULT[step]}: {error.diag.message_primary}") from None
    if not approved:
        said = f": {one_line(reason)}" if reason else ""
        raise GateFailed(f"batch {batch_id} was rejected by {airflow_user}{said}; nothing is posted")


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
