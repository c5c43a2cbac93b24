"""
Statements that must not pass, as the application's own role tries them: the last line is Postgres, whoever writes.

Each is tried in the books of a firm that has billed once; a batch that waits is made where one is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from psycopg import sql

from psflow.config import Step
from psflow.flows import billing, time_expense
from psflow.store import effects
from psflow.store.connection import Store
from psflow.store.effects import NewEffect
from tests.crash.tasks import ENTITY, PERIOD, Day, decide
from tests.flows.conftest import PassGate

Attack = Callable[[Day], None]
_STEPS: tuple[Step, ...] = ("submit", "approve", "approve")


class Held(Exception):
    """What was tried was not taken, without an error."""


def says(*statements: str, seen: bool = True) -> Attack:
    """Return an attack that runs these statements in one transaction; `:batch` is the batch that waits."""

    def attack(day: Day) -> None:
        wanted = " ".join(statements)
        batch = waiting(day, seen) if ":batch" in wanted else {"batch": "", "hash": ""}
        with day.store.transaction("attack"):
            for statement in statements:
                text = statement.replace(":batch", f"'{batch['batch']}'").replace(":hash", f"'{batch['hash']}'")
                _execute(day.store, text)

    return attack


def copies(table: str, where: str = "true", **changed: str) -> Attack:
    """Return an attack that puts a row in again, with these fields as SQL says."""

    def attack(day: Day) -> None:
        with day.store.transaction("attack"):
            _execute(day.store, copy_of(day.store, table, where, **changed))

    return attack


def copy_of(store: Store, table: str, where: str = "true", **changed: str) -> str:
    """Return the statement that inserts a row again."""
    columns = [row["attname"] for row in store.rows(
        "select attname from pg_attribute where attrelid = %(table)s::regclass and attnum > 0 and not attisdropped "
        "and attgenerated = '' and attidentity <> 'a' order by attnum", table=table,
    )]  # fmt: skip
    values = [changed.get(name, f'kept."{name}"') for name in columns]
    names = ", ".join(f'"{name}"' for name in columns)
    kept = f"(select * from {table} where {where} limit 1) kept"
    return f"insert into {table} ({names}) select {', '.join(values)} from {kept}"


def _execute(store: Store, statement: str) -> None:
    done = store._connection.execute(sql.SQL(statement))  # type: ignore[arg-type]
    if done.rowcount == 0:
        raise LookupError(f"the attack touched nothing: {statement}")


def waiting(day: Day, seen: bool = True) -> dict[str, Any]:
    """Return a batch that the gate has seen, or not, and nobody has decided on, and its hash."""
    run = (day.store, day.config)
    time_expense.load(*run, day.to.psa)
    time_expense.check(*run, PassGate())
    batch = billing.freeze(*run, ENTITY, PERIOD, PERIOD.end)
    if seen:
        billing.check(*run, PassGate(), str(batch))
    return {"batch": batch, "hash": day.store.value("select billing.content_hash(%(batch)s)", batch=batch)}


def _approved(day: Day, batch: dict[str, Any]) -> None:
    for step in _STEPS:
        decide(day, batch["batch"], step, batch["hash"])


def decision(step: str, person: str, shown: str = ":hash", seat: int = 1, said: str = "approved") -> str:
    """Return the statement of one decision on the batch that waits."""
    return (
        "insert into ops.approval (batch_id, step, seat, decision, person, airflow_user, run_id, content_hash) "
        f"values (:batch, '{step}', {seat}, '{said}', '{person}', 'x', 'r', {shown})"
    )


def person(name: str, may: str = "submit,approve", resources: str = "'{}'") -> str:
    """Return the statement that tells of a person who may decide."""
    return (
        f"insert into ops.person (person, may, resources) values ('{name}', string_to_array('{may}', ','), {resources})"
    )


def invoice(day: str = "invoiced_on") -> str:
    """Return the statement that makes one invoice of the batch that waits."""
    return (
        "insert into billing.invoice "
        "(invoice_key, batch_id, project_code, legal_entity_id, currency, invoiced_on, amount) "
        f"select 'X-1', batch_id, (select min(project_code) from core.project), legal_entity_id, 'USD', {day}, 1 "
        "from billing.batch where batch_id = :batch"
    )


def charge(charge_id: str) -> tuple[str, ...]:
    """Return the statements that bill an hour once more under another id."""
    line = (
        "(select batch_id, charge_id from billing.charge where kind = 'charge' and time_entry_id is not null limit 1)"
    )
    return (f"(batch_id, charge_id) = {line}", charge_id)


def bill_again(charge_id: str, *before: str, **changed: str) -> Attack:
    """Return an attack that charges one billed hour a second time."""

    def attack(day: Day) -> None:
        where, new = charge(charge_id)
        with day.store.transaction("attack"):
            for statement in before:
                _execute(day.store, statement)
            for table in ("billing.batch_line", "billing.charge"):
                _execute(day.store, copy_of(day.store, table, where, charge_id=new, **changed))

    return attack


def bill_otherwise(column: str, value: str) -> Attack:
    """Return an attack that freezes a part of a billed hour and charges it with another value in a column."""

    def attack(day: Day) -> None:
        where, _ = charge("")
        new = {"charge_id": "'X.1'", "seq": "9"}
        with day.store.transaction("attack"):
            _execute(day.store, copy_of(day.store, "billing.batch_line", where, **new))
            _execute(day.store, copy_of(day.store, "billing.charge", where, **new, **{column: value}))

    return attack


def reversed_twice(day: Day) -> None:
    """Take back one billed hour twice."""
    for ending in (".R", ".R~1"):
        bill_again(f"kept.charge_id || '{ending}'", kind="'reversal'")(day)


def two_truths(day: Day) -> None:
    """Register a write again that is done, with another payload."""
    known = day.store.rows("select * from ops.effect where capability = 'draft_invoice' limit 1")[0]
    with day.store.transaction("attack"):
        effects.register(day.store, [
            NewEffect(known["system"], known["capability"], known["effect_key"].split(":", 2)[2], {"amount": "1"}),
        ])  # fmt: skip


def foreign_ticket(day: Day) -> None:
    """Send an effect of one system to another."""
    with day.store.transaction("attack"):
        keys = effects.register(day.store, [NewEffect("kantata", "create_customer", "X", {"customer_id": "X"})])
    (ticket,) = effects.claim(day.store, day.to.psa.profile, keys)
    day.to.erp.perform(ticket.effect)


def old_ticket(day: Day) -> None:
    """Send an effect long after it was claimed."""
    with day.store.transaction("attack"):
        keys = effects.register(day.store, [NewEffect("tryton", "create_customer", "X", {"customer_id": "X"})])
    (ticket,) = effects.claim(day.store, day.to.erp.profile, keys)
    effects.time.sleep(day.to.erp.profile.lease_s / 2)
    day.to.erp.perform(ticket.effect)


def late_settle(day: Day) -> None:
    """Settle a call whose effect somebody else has taken over and settled."""
    with day.store.transaction("attack"):
        keys = effects.register(day.store, [NewEffect("tryton", "create_customer", "X", {"customer_id": "X"})])
    (old,) = effects.claim(day.store, day.to.erp.profile, keys)
    effects.time.sleep(day.to.erp.profile.lease_s + 1)
    (_,) = effects.claim(day.store, day.to.erp.profile, keys)
    with day.store.transaction("attack"):
        if not effects.settle(day.store, [effects.Result(old.effect, "refused", error="too late")]):
            raise Held("it was not taken")


def moved(day: Day) -> None:
    """Post a batch of which an hour changed after the approval."""
    from psflow.flows import billing_posting

    batch, run = waiting(day), (day.store, day.config)
    _approved(day, batch)
    head = day.store.rows("select * from core.time_entry_head join core.time_entry using (time_entry_id) "
                          "where version = latest_version and time_entry_id in (select time_entry_id from "
                          "billing.batch_content where batch_id = %(batch)s) limit 1",
                          batch=batch["batch"])[0]  # fmt: skip
    entry = head["time_entry_id"]
    newer = copy_of(day.store, "core.time_entry", f"time_entry_id = '{entry}' and version = {head['latest_version']}",
                    version="kept.version + 1", minutes="kept.minutes + 60")  # fmt: skip
    with day.store.transaction("attack"):
        _execute(day.store, newer)
        _execute(day.store, "update core.time_entry_head set latest_version = latest_version + 1, passed_version = "
                            f"latest_version + 1 where time_entry_id = '{entry}'")  # fmt: skip
    billing_posting.release(*run, day.to.erp, batch["batch"])
