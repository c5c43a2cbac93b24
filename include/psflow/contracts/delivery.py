"""What is delivered and spent on a project, and what it earned."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from psflow.contracts.values import Amount, Currency, Id, Instant, Period, Record


class Task(Record):
    """A piece of work on a project. Owner: PSA."""

    task_id: Id
    project_ref: Id = Field(description="project id in the PSA")
    title: str
    is_billable: bool
    is_done: bool
    modified_at: Instant | None = None


class Milestone(Record):
    """A deliverable with a due day. Owner: PSA."""

    milestone_id: Id
    project_ref: Id = Field(description="project id in the PSA")
    title: str
    due_on: dt.date | None = None
    is_done: bool
    modified_at: Instant | None = None


class ExpenseEntry(Record):
    """Money a person spent on a project. Owner: PSA. Billed at cost, with its receipt."""

    expense_entry_id: Id
    project_ref: Id = Field(description="project id in the PSA")
    resource_ref: Id = Field(description="person id in the PSA")
    spent_on: dt.date
    category: str
    amount: Amount = Field(description="what was paid, gross")
    currency: Currency
    is_billable: bool
    is_approved: bool
    has_receipt: bool
    notes: str | None = None
    modified_at: Instant


class RevenueEvent(Record):
    """Revenue recognized for one project and month by one policy. Owner: psflow proposes, ERP books."""

    project_code: Id
    period: Period
    policy: Literal["as_invoiced"]
    amount: Amount
    currency: Currency
