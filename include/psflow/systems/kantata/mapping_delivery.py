"""
Kantata's time, expenses and stories -> contracts. Pure; the vendor's words end here.

An expense carries no approval of its own: it is approved when its report is, or when its project asks for none
(developer.kantata.com, Expenses, filter `approved`). Money is an integer in `1 / currency_base_unit` of the currency.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from psflow.contracts import Milestone, Task
from psflow.errors import NeedsReview
from psflow.systems.kantata.mapping import Aware, Id, Text
from psflow.systems.kantata.wire import Answer
from psflow.systems.ports import BadRow, ExpensePage, ExpenseRow, Raw, TimeEntryRow, TimePage

_CENTS = 10**16  # more than any ledger column holds is no amount
LineField = Literal["story_id", "location"]


class Story(msgspec.Struct):
    """stories: tasks and milestones."""

    id: Id
    workspace_id: Id
    title: Text
    story_type: Literal["task", "deliverable", "milestone", "issue"]
    updated_at: Aware
    state: str | None = None
    billable: bool | None = None
    due_date: dt.date | None = None


class TimeEntry(msgspec.Struct):
    """time_entries, as documented."""

    id: Id
    updated_at: Aware
    workspace_id: Id | None = None
    user_id: Id | None = None
    role_id: Id | None = None
    date_performed: dt.date | None = None
    time_in_minutes: Annotated[int, msgspec.Meta(gt=-(1 << 31), lt=1 << 31)] | None = None
    billable: bool | None = None
    approved: bool | None = None
    notes: Text | None = None
    story_id: Id | None = None
    location: Text | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """
    What an account says with an entry beside its hours, which has no custom fields at Kantata.

    `contract_line` is the field that names it (None: no field does), `regions` is location -> our region; without it
    the work was done where the person is.
    """

    contract_line: LineField | None = None
    regions: Mapping[str, str] = field(default_factory=dict)


NOTHING_BESIDE = Beside()


class Submission(msgspec.Struct):
    """expense_report_submissions: what somebody approved or not."""

    id: Id
    status: str
    updated_at: Aware
    expense_ids: list[str] = []


class Workspace(msgspec.Struct):
    """workspaces, as far as an expense asks."""

    require_expense_approvals: bool | None = None


class Expense(msgspec.Struct):
    """expenses, as documented."""

    id: Id
    updated_at: Aware
    workspace_id: Id | None = None
    user_id: Id | None = None
    date: dt.date | None = None
    category: Text | None = None
    amount_in_cents: Annotated[int, msgspec.Meta(gt=-_CENTS, lt=_CENTS)] | None = None
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] | None = None
    currency_base_unit: Annotated[int, msgspec.Meta(gt=0)] | None = None
    is_billable: bool | None = None
    receipt_id: Id | None = None
    active_submission_id: Id | None = None
    notes: Text | None = None


def time_entry_row(
    entry: TimeEntry, payload: Raw, roles: dict[str, str], beside: Beside = NOTHING_BESIDE
) -> TimeEntryRow:
    """Return one row. Raises NeedsReview for a role or location nobody knows: no other's price may stand in for it."""
    return TimeEntryRow(
        time_entry_id=entry.id,
        project_ref=entry.workspace_id,
        resource_ref=entry.user_id,
        worked_on=entry.date_performed,
        minutes=entry.time_in_minutes,
        role=_role(entry.role_id, roles),
        is_billable=entry.billable,
        is_approved=entry.approved,
        notes=entry.notes,
        modified_at=entry.updated_at,
        payload=payload,
        contract_line=getattr(entry, beside.contract_line) or None if beside.contract_line else None,
        region=_region(entry.location, beside.regions),
    )


def _region(location: str | None, regions: Mapping[str, str]) -> str | None:
    if not location or not regions:
        return None
    if location not in regions:
        raise NeedsReview(f"location {location!r} is no region of ours; add it to `regions` of the connection")
    return regions[location]


def _role(role_id: str | None, roles: dict[str, str]) -> str | None:
    if role_id is not None and role_id not in roles:
        raise NeedsReview(f"role_id {role_id} is no role of Kantata's; give the entry a role that is")
    return None if role_id is None else roles[role_id]


def time_page(
    records: Sequence[tuple[str, msgspec.Raw]], roles: dict[str, str], beside: Beside = NOTHING_BESIDE
) -> TimePage:
    """Return a page typed: decoded whole, and record by record only when one of them is not as documented."""
    texts = [bytes(raw) for _, raw in records]
    try:
        entries = msgspec.json.decode(b"[" + b",".join(texts) + b"]", type=list[TimeEntry])
        rows = zip(entries, texts, strict=True)
        return TimePage([time_entry_row(e, text.decode(), roles, beside) for e, text in rows], [])
    except (msgspec.ValidationError, NeedsReview):
        return _one_by_one(records, roles, beside)


def _one_by_one(records: Sequence[tuple[str, msgspec.Raw]], roles: dict[str, str], beside: Beside) -> TimePage:
    page = TimePage([], [])
    for record_id, raw in records:
        payload = bytes(raw).decode()
        try:
            page.rows.append(time_entry_row(msgspec.json.decode(raw, type=TimeEntry), payload, roles, beside))
        except (msgspec.ValidationError, NeedsReview) as error:
            page.bad.append(BadRow(record_id, str(error), payload))
    return page


def task(story: Story) -> Task:
    """Return the task. Raises NeedsReview when the vendor sent another kind of story."""
    return Task(
        task_id=_of_type(story, "task"), project_ref=story.workspace_id, title=story.title, is_done=_done(story),
        is_billable=story.billable, modified_at=story.updated_at,
    )  # fmt: skip


def milestone(story: Story) -> Milestone:
    """Return the milestone. Raises NeedsReview when the vendor sent another kind of story."""
    return Milestone(
        milestone_id=_of_type(story, "milestone"), project_ref=story.workspace_id, title=story.title,
        due_on=story.due_date, is_done=_done(story), modified_at=story.updated_at,
    )  # fmt: skip


def _of_type(story: Story, wanted: str) -> str:
    if story.story_type != wanted:
        raise NeedsReview(f"kantata: story {story.id} is a {story.story_type}, not the {wanted} that was asked for")
    return story.id


def _done(story: Story) -> bool:
    return story.state == "completed"


def expense_page(page: Answer) -> ExpensePage:
    """Return a page of expenses, typed; what is not as documented is set aside."""
    reports = page.included("expense_report_submissions", Submission)
    projects = page.included("workspaces", Workspace)
    rows, bad = list[ExpenseRow](), list[BadRow]()
    for record_id, raw in page.records:
        payload = bytes(raw).decode()
        try:
            rows.append(_expense_row(msgspec.json.decode(raw, type=Expense), payload, reports, projects))
        except msgspec.ValidationError as error:
            bad.append(BadRow(record_id, str(error), payload))
    return ExpensePage(rows, bad)


def _expense_row(
    expense: Expense, payload: Raw, reports: dict[str, Submission], projects: dict[str, Workspace]
) -> ExpenseRow:
    report = reports.get(expense.active_submission_id or "")
    return ExpenseRow(
        expense_entry_id=expense.id,
        project_ref=expense.workspace_id,
        resource_ref=expense.user_id,
        spent_on=expense.date,
        category=expense.category,
        amount=_amount(expense),
        currency=expense.currency,
        is_billable=expense.is_billable,
        is_approved=_approved(expense, report, projects.get(expense.workspace_id or "")),
        has_receipt=expense.receipt_id is not None,
        notes=expense.notes,
        modified_at=expense.updated_at if report is None else max(expense.updated_at, report.updated_at),
        payload=payload,
    )


def _amount(expense: Expense) -> Decimal | None:
    if expense.amount_in_cents is None or expense.currency_base_unit is None:
        return None
    return Decimal(expense.amount_in_cents) / expense.currency_base_unit


def _approved(expense: Expense, report: Submission | None, project: Workspace | None) -> bool | None:
    """Return None when the answer does not tell."""
    if expense.active_submission_id is not None:
        return None if report is None else report.status == "approved"
    if project is None or project.require_expense_approvals is None:
        return None
    return not project.require_expense_approvals
