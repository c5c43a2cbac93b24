"""
The ports of each role. Flows know these, never a vendor.

Reads raise `TransientError`. Writes take an open effect, return the vendor's id and raise by outcome:
`Rejected` (refused), `TransientError` (not applied), anything else is unknown. `find` settles an unknown one.
What only some vendors can do is a protocol of its own: jobs (`Polls`), many at once (`PerformsMany`), `ReadsBack`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

from psflow.contracts import (
    Absence,
    Assignment,
    Capability,
    CostRate,
    Customer,
    Employment,
    Milestone,
    OpenEffect,
    Opportunity,
    RateCard,
    Resource,
    Stream,
    Task,
    VendorProfile,
    WorkPattern,
)
from psflow.errors import PsflowError

Raw = str  # one record's JSON text, as received
T = TypeVar("T")


class BadRow(NamedTuple):
    """A record that does not have the vendor's documented types: kept whole for a person."""

    record_id: str
    problem: str
    payload: Raw


class Pulled(NamedTuple, Generic[T]):
    """One record as read: the vendor's id, what it says, the payload, and the vendor's change stamp if it has one."""

    record_id: str
    record: T
    payload: Raw
    modified_at: dt.datetime | None = None


class Page(NamedTuple, Generic[T]):
    """One page of a stream: what could be read, and what a person must look at."""

    rows: list[Pulled[T]]
    bad: list[BadRow]


@dataclass(frozen=True, slots=True)
class Registration:
    """
    What a system is to us and what it offers; one a vendor, found by the entry point group `psflow.systems`.

    `conn_type` is the Airflow connection type of its hook, `api_version` the version its client speaks.
    """

    key: str
    role: Literal["crm", "erp", "psa", "hr", "planner"]
    name: str
    conn_type: str
    api_version: str
    capabilities: frozenset[Capability]
    streams: frozenset[Stream]


class Accepted(NamedTuple):
    """The vendor took a write as a job and does it later: ask for it by its id, not before `poll_after_s`."""

    job_id: str
    poll_after_s: float = 1


Answer = str | Accepted  # the vendor's id of what was made or changed, or of the job that will do it


class System(Protocol):
    """What every adapter has."""

    key: str
    instance: str
    profile: VendorProfile

    def find(self, effect: OpenEffect) -> Answer | None:
        """Return the id under which this effect already landed (or its job), or None. Reads only."""
        ...

    def perform(self, effect: OpenEffect) -> Answer:
        """Send this effect by its capability and return the vendor's id of what it made or changed."""
        ...

    def url(self, kind: str, external_id: str) -> str:
        """Return the vendor's own page of a record (kinds: customer, project, opportunity, invoice)."""
        ...


@runtime_checkable
class Polls(System, Protocol):
    """A vendor that accepts some writes as jobs."""

    def poll(self, effect: OpenEffect, job_id: str) -> Answer | None:
        """
        Return the id of what the job made, the job again while it runs, or None when the vendor knows no such job.

        Reads only. Raises Rejected when the job failed and nothing was written.
        """
        ...


@runtime_checkable
class PerformsMany(System, Protocol):
    """A vendor that takes several writes of one capability in one request, each with an outcome of its own."""

    def perform_many(self, effects: Sequence[OpenEffect]) -> list[Answer | PsflowError]:
        """
        Send these effects, at most the profile's `writes_per_request`; return answer or error of each, in order.

        Raises by outcome when it is the same for all; Rejected only when none was written.
        """
        ...


class Copy(NamedTuple):
    """One record that carries the reference of an effect. `final`: in the ledger, or otherwise not to be closed."""

    external_id: str
    state: Literal["open", "closed", "final"]


class Undo(NamedTuple):
    """The write that closes a record again."""

    capability: Capability
    payload: dict[str, Any]


@runtime_checkable
class ReadsBack(System, Protocol):
    """A vendor without unique keys: what landed twice is looked for, and closed."""

    def copies(self, capability: str, key: str, payload: dict[str, Any]) -> list[Copy]:
        """Return every record that the effect of this key made, in any state; [] where it makes none. Reads only."""
        ...

    def undo(self, capability: str, payload: dict[str, Any], external_id: str, ends_on: dt.date) -> Undo | None:
        """
        Return what closes a record that this capability made, None when nothing does.

        `ends_on` is the last day of it that counts; `date.min` for none.
        """
        ...


@runtime_checkable
class ReadsAgain(Protocol):
    """A vendor whose single records can be read from their kept payload, as a person may have corrected it."""

    def read_again(self, stream: str, record_id: str, payload: Raw) -> Page[Any] | TimePage:
        """
        Return a page of this one record, mapped as a live read maps it.

        Raises NeedsReview for a stream whose records say not enough by themselves.
        """
        ...


class TimeEntryRow(NamedTuple):
    """One time entry ready for COPY (`contracts.TimeEntry` says what each field means; the gate judges them)."""

    time_entry_id: str
    project_ref: str | None
    resource_ref: str | None
    worked_on: dt.date | None
    minutes: int | None
    role: str | None
    is_billable: bool | None
    is_approved: bool | None
    notes: str | None
    modified_at: dt.datetime
    payload: Raw
    contract_line: str | None = None
    region: str | None = None


class ExpenseRow(NamedTuple):
    """One expense ready for COPY (`contracts.ExpenseEntry` says what each field means; the gate judges them)."""

    expense_entry_id: str
    project_ref: str | None
    resource_ref: str | None
    spent_on: dt.date | None
    category: str | None
    amount: Decimal | None
    currency: str | None
    is_billable: bool | None
    is_approved: bool | None
    has_receipt: bool | None
    notes: str | None
    modified_at: dt.datetime
    payload: Raw


class ExpensePage(NamedTuple):
    """One page of expenses."""

    rows: list[ExpenseRow]
    bad: list[BadRow]


class PlannedPerson(NamedTuple):
    """A person as the planner keeps them: who, which hours from when on, at which cost."""

    resource: Resource
    patterns: tuple[WorkPattern, ...]
    costs: tuple[CostRate, ...]


class FxRate(NamedTuple):
    """Units of `to_currency` for one of `from_currency`, from a day on."""

    from_currency: str
    to_currency: str
    valid_on: dt.date
    rate: Decimal


class TimePage(NamedTuple):
    """One page of a bulk stream."""

    rows: list[TimeEntryRow]
    bad: list[BadRow]


@dataclass(frozen=True, slots=True)
class ErpInvoiceLine:
    """One line as the ERP holds it. `line_key` is ours, None when the line carries none."""

    erp_line_id: str
    line_key: str | None
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One ledger line of an invoice's move: amounts in the company's currency, and in the document's when foreign."""

    erp_move_line_id: str
    erp_move_id: str
    account_kind: str
    debit: Decimal
    credit: Decimal
    erp_line_id: str | None


@dataclass(frozen=True, slots=True)
class ErpInvoice:
    """
    A document as the ERP holds it, with its lines and, once posted, its ledger lines.

    The three amounts are the ERP's own sums.
    `to_pay` is what the customer still owes of the total, None when the ERP does not say; `paid_on` when that became 0.
    """

    erp_invoice_id: str
    reference: str | None
    number: str | None
    state: str
    currency: str
    untaxed_amount: Decimal
    tax_amount: Decimal
    total_amount: Decimal
    erp_move_id: str | None
    lines: tuple[ErpInvoiceLine, ...]
    ledger: tuple[LedgerLine, ...]
    to_pay: Decimal | None = None
    paid_on: dt.date | None = None


class BillLine(NamedTuple):
    """
    One line of an invoice that another system made; `entry_id` names the time entry or expense, None when it does not.

    `project_ref` is that system's id of the project. `amount` is net, None when the line does not tell.
    """

    line_id: str
    kind: Literal["time", "expense", "fee"]
    entry_id: str | None
    project_ref: str | None
    minutes: int | None
    hourly_rate: Decimal | None
    amount: Decimal | None
    says: str | None


class Bill(NamedTuple):
    """An invoice that another system made. `balance` is what is still to be paid, tax included."""

    bill_id: str
    number: str | None
    state: Literal["draft", "open", "cancelled"]
    currency: str
    billed_on: dt.date | None
    balance: Decimal | None
    tax_pct: Decimal | None
    modified_at: dt.datetime
    lines: tuple[BillLine, ...]


@runtime_checkable
class MakesBills(System, Protocol):
    """A system that makes invoices of its own, which psflow can price again."""

    def bills(self, since: dt.datetime | None) -> Iterator[Page[Bill]]:
        """Yield pages of its invoices changed since, those in draft and cancelled ones too."""
        ...


class Crm(System, Protocol):
    """Customer relationship management: customers and opportunities."""

    def customers(self, since: dt.datetime | None) -> Iterator[Page[Customer]]:
        """Yield pages of accounts changed since, oldest change first."""
        ...

    def opportunities(self, since: dt.datetime | None) -> Iterator[Page[Opportunity]]:
        """Yield pages of opportunities with their lines changed since."""
        ...


class Psa(System, Protocol):
    """Professional services automation: people, rates, projects, time. Capabilities: create_project, close_project."""

    def resources(self) -> Iterator[Page[Resource]]:
        """Yield pages of all people (no change stamp at the vendor: always a full read)."""
        ...

    def rate_cards(self) -> Iterator[Page[RateCard]]:
        """Yield pages of all rate cards with their dated rates."""
        ...

    def time_entries(self, since: dt.datetime | None) -> Iterator[TimePage]:
        """Yield pages of time entries changed since, oldest change first: typed, not yet judged by a gate."""
        ...

    def time_entry_ids(self, worked_from: dt.date) -> Iterator[str]:
        """Yield the id of every entry worked on that day or later, approved or not: what is missing was deleted."""
        ...

    def expenses(self, since: dt.datetime | None) -> Iterator[ExpensePage]:
        """Yield pages of expenses changed since, oldest change first: typed, not yet judged by a gate."""
        ...

    def tasks(self, since: dt.datetime | None) -> Iterator[Page[Task]]:
        """Yield pages of tasks changed since."""
        ...

    def milestones(self, since: dt.datetime | None) -> Iterator[Page[Milestone]]:
        """Yield pages of milestones changed since."""
        ...


class Hr(System, Protocol):
    """Human resources: who is employed, where, and when they are away. Read only."""

    def resources(self) -> Iterator[Page[Resource]]:
        """Yield pages of all people, those who left included (not active)."""
        ...

    def deleted(self) -> Iterator[Page[None]]:
        """Yield the people whose record was deleted, by their id in HR: only ids and times are left of them."""
        ...

    def employments(self) -> Iterator[Page[tuple[Employment, ...]]]:
        """Yield pages of which company employed whom from which day on: one record a person, all of their rows."""
        ...

    def absences(self, from_day: dt.date, to_day: dt.date) -> Iterator[Page[Absence]]:
        """Yield pages of leave that touches the window, one record a day; its people by their id in HR."""
        ...


class Planner(System, Protocol):
    """
    Resource planning: working hours, skills, demand and assignments.

    Capabilities: create_project, request_resource, close_request, assign_resource, release_resource.
    """

    def people(self) -> Iterator[Page[PlannedPerson]]:
        """Yield pages of all people, archived ones included (not active); placeholders are not people."""
        ...

    def assignments(self, from_day: dt.date, to_day: dt.date) -> Iterator[Page[Assignment]]:
        """Yield pages of every allocation that touches the window: what is missing was deleted."""
        ...


class Erp(ReadsBack, Protocol):
    """
    Books. Capabilities: create_customer, create_ and close_project, draft_, post_ and cancel_invoice; post_ and
    void_time where the ERP bills hours itself.
    """

    def invoices(self, references: Sequence[str]) -> list[ErpInvoice]:
        """Return the documents that carry one of our references, in any state, with lines and ledger."""
        ...

    def fx_rates(self, since: dt.date | None) -> Iterator[Page[FxRate]]:
        """Yield pages of exchange rates valid from `since` on, to the company's currency."""
        ...
