"""
What a customer does not accept of an invoice: noted with its owner, and ended by credits or a rejection.

Both books still agree on a disputed invoice: the tie-out shows the amount as explained, not as a difference.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING

import psycopg

from psflow.config import Config, Person
from psflow.errors import ConfigurationError, GateFailed
from psflow.flows.billing_adjustment import Adjustment, decide
from psflow.store import audit, exceptions
from psflow.store.connection import Row, Store

if TYPE_CHECKING:
    from collections.abc import Iterator


def note(
    store: Store, config: Config, invoice_key: str, amount: Decimal, reason: str, owner: str, airflow_user: str,
    line_key: str | None = None,
) -> int:  # fmt: skip
    """
    Note a dispute of an invoice, or of one of its lines, and return its number; its owner gets an exception.

    Raises GateFailed for more than is left to dispute, and when the invoice does not count.
    """
    person, owned_by = _of_finance(config, airflow_user), config.person_of(owner).person
    with _refusals(f"dispute of {invoice_key}"), store.transaction("dispute.note"):
        invoice = _invoice(store, invoice_key)
        number: int = store.value(
            _NOTE, invoice=invoice_key, line=line_key, amount=amount, currency=invoice["currency"], reason=reason,
            owner=owned_by, person=person.person,
        )  # fmt: skip
        said = f"{amount} {invoice['currency']} of {line_key or invoice_key} are disputed: {reason}"
        found = exceptions.Finding(
            "dispute", "dispute", str(number), "amount", str(amount), said, invoice["engagement_id"], amount,
            invoice["currency"],
        )  # fmt: skip
        exceptions.open_all(store, config, [found])
        store.run(
            "update ops.exceptions set assignee = %(owner)s "
            "where (state, rule, record_id) = ('open', 'dispute', %(id)s)",
            owner=owned_by, id=str(number),
        )  # fmt: skip
        audit.write(store, "dispute.note", f"dispute {number}", person.person, {"says": said})
    return number


def credit(
    store: Store, config: Config, dispute_id: int, minutes: Mapping[str, Decimal | None], reason: str, *,
    asked_by: str, airflow_user: str, on: dt.date,
) -> Decimal:  # fmt: skip
    """
    End a dispute with credits on entries of what is disputed (entry -> minutes, None: all of it); return their sum.

    The next batch carries them out. Raises GateFailed when an entry is not part of it, the credits exceed the dispute,
    or one person did both.
    """
    person, asked = _of_finance(config, airflow_user), _of_finance(config, asked_by)
    with _refusals(f"dispute {dispute_id}"), store.transaction("dispute.credit"):
        dispute = _open(store, dispute_id)
        if strangers := set(minutes) - set(_entries(store, dispute)):
            raise GateFailed(f"dispute {dispute_id}: {', '.join(sorted(strangers))} is not on what is disputed")
        payer, said = _payer(store, dispute), f"dispute {dispute_id}: {reason}"
        decided = [
            Adjustment("credit", entry, part, on, said, asked.person, person.person, payer)
            for entry, part in minutes.items()
        ]
        done = decide(store, config.legal_entity(dispute["legal_entity_id"]), decided)
        total = sum((amount for _, amount in done), Decimal())
        if total > dispute["amount"]:
            raise GateFailed(f"dispute {dispute_id}: credits of {total} exceed its {dispute['amount']}")
        _end(store, dispute_id, "credited", reason, person.person, [number for number, _ in done])
    return total


def reject(store: Store, config: Config, dispute_id: int, reason: str, airflow_user: str) -> None:
    """End a dispute: the customer owes what was invoiced. Raises GateFailed when it is over."""
    person = _of_finance(config, airflow_user)
    with _refusals(f"dispute {dispute_id}"), store.transaction("dispute.reject"):
        _open(store, dispute_id)
        _end(store, dispute_id, "rejected", reason, person.person, [])


def open_disputes(store: Store) -> list[Row]:
    """Return what is disputed now, oldest first."""
    return store.rows("select * from finance.dispute where outcome is null order by dispute_id")


def _end(store: Store, dispute_id: int, outcome: str, reason: str, person: str, adjustments: list[int]) -> None:
    store.run(
        "insert into billing.dispute_end (dispute_id, outcome, adjustment_ids, reason, decided_by) "
        "values (%(id)s, %(outcome)s, %(adjustments)s, %(reason)s, %(person)s)",
        id=dispute_id, outcome=outcome, adjustments=adjustments, reason=reason, person=person,
    )  # fmt: skip
    exceptions.resolve(store, "dispute", "dispute", [str(dispute_id)])
    audit.write(store, f"dispute.{outcome}", f"dispute {dispute_id}", person, {"reason": reason})


def _of_finance(config: Config, airflow_user: str) -> Person:
    person = config.person_of(airflow_user)
    if "finance" not in person.teams:
        raise GateFailed(f"{airflow_user} is not of finance; disputes are noted and ended by finance")
    return person


def _invoice(store: Store, invoice_key: str) -> Row:
    found = store.row(
        "select invoice.*, project.engagement_id from billing.live_invoice invoice "
        "join core.project using (project_code) where invoice_key = %(key)s",
        key=invoice_key,
    )
    if found is None:
        raise ConfigurationError(f"invoice {invoice_key!r} is unknown, or void; see finance.invoice")
    return found


def _open(store: Store, dispute_id: int) -> Row:
    """Return a dispute that is open; nobody else ends it until the transaction ends."""
    store.run("select pg_advisory_xact_lock(hashtext('dispute:' || %(id)s))", id=str(dispute_id))
    found = store.row("select * from finance.dispute where dispute_id = %(id)s", id=dispute_id)
    if found is None:
        raise ConfigurationError(f"there is no dispute {dispute_id}; see finance.dispute")
    if found["outcome"]:
        raise GateFailed(f"dispute {dispute_id} was {found['outcome']} before")
    return found


def _payer(store: Store, dispute: Row) -> str | None:
    """Return whose invoice is disputed where several pay for the work: the others' stand. None where one pays."""
    found: str | None = store.value(_PAYER, invoice=dispute["invoice_key"])
    return found


def _entries(store: Store, dispute: Row) -> list[str]:
    rows = store.rows(
        "select distinct entry_key from billing.charge join billing.invoice_line line using (line_key) "
        "where invoice_key = %(invoice)s and line_key = coalesce(%(line)s, line_key)",
        invoice=dispute["invoice_key"], line=dispute["line_key"],
    )  # fmt: skip
    return [row["entry_key"] for row in rows]


@contextmanager
def _refusals(what: str) -> Iterator[None]:
    try:
        yield
    except psycopg.errors.CheckViolation as error:
        raise GateFailed(f"{what}: {error.diag.message_primary}") from None


_PAYER = """
select coalesce(invoice.payer_id, project.customer_id)
from billing.invoice join core.project using (project_code)
where invoice_key = %(invoice)s
  and exists (select from billing.charge join billing.invoice_line using (line_key)
              where invoice_line.invoice_key = invoice.invoice_key and split_id is not null)
"""
_NOTE = """
insert into billing.dispute (invoice_key, line_key, amount, currency, reason, owner, raised_by)
values (%(invoice)s, %(line)s, %(amount)s, %(currency)s, %(reason)s, %(owner)s, %(person)s)
returning dispute_id
"""
