"""What goes wrong at Meridian, each thing under its name, so that screens and tests can point to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from psflow.sandbox.meridian.deals import FOREIGN
from psflow.sandbox.meridian.people import NO_ROLE
from psflow.sandbox.meridian.prices import UNPRICED
from psflow.sandbox.meridian.work import Entry, Expense

UNSOLD = "900001"  # a workspace of the PSA that nobody sold; internal work is logged there
CORRECTED_AT = "2026-11-05T09:30:00Z"  # September and October are invoiced by then

LATE_DEAL, EDITED_DEAL, WAITING_DEAL = "1", "2", "9"
RECEIPT_DEAL, NO_RECEIPT_DEAL = "3", "10"
DISPUTED_DEAL, DISPUTED = "5", Decimal("1250.00")  # of its September invoice, in the deal's currency


@dataclass(frozen=True, slots=True)
class Story:
    """The planted records by their number in the PSA, and what changes after the first billing."""

    too_long: int
    unsold: int
    no_role: int
    no_rate: int
    not_billable: int
    not_approved: int
    next_month: int
    late: int
    edited: int
    waiting: int
    expense: int
    expense_without_receipt: int
    corrections: tuple[Entry, ...]
    entries: tuple[Entry, ...]
    expenses: tuple[Expense, ...]


def tell(logged: Sequence[Entry], spent: Sequence[Expense]) -> Story:
    """Return the planted records, numbered after the regular ones. A correction keeps its entry's number."""
    september, october = dt.date(2026, 9, 16), dt.date(2026, 10, 7)
    first, next_expense = len(logged) + 1, len(spent) + 1
    us, eu = _somebody(logged, EDITED_DEAL), _somebody(logged, WAITING_DEAL)
    one, other, third = (_somebody(logged, deal) for deal in (LATE_DEAL, RECEIPT_DEAL, NO_RECEIPT_DEAL))
    planted = [
        Entry(first, LATE_DEAL, one.person, one.role, october, 1560, is_held="26 hours in one day"),
        Entry(first + 1, None, one.person, one.role, october, 60, is_held="on no project of ours"),
        Entry(first + 2, "2", NO_ROLE, None, dt.date(2026, 10, 13), 60, is_held="neither entry nor person has a role"),
        Entry(first + 3, "3", other.person, UNPRICED, october, 60),
        Entry(first + 4, FOREIGN, _somebody(logged, FOREIGN).person, "Consultant", october, 45, is_billable=False),
        Entry(first + 5, "3", other.person, other.role, october, 90, is_approved=False),
        Entry(first + 6, LATE_DEAL, one.person, one.role, dt.date(2026, 11, 2), 60),
    ]
    late = Entry(first + 7, LATE_DEAL, one.person, one.role, dt.date(2026, 9, 17), 150, logged_at=CORRECTED_AT)
    receipts = (
        Expense(next_expense, RECEIPT_DEAL, other.person, september, "Travel", Decimal("412.35")),
        Expense(
            next_expense + 1, NO_RECEIPT_DEAL, third.person, october, "Lodging", Decimal("189.00"), has_receipt=False
        ),
    )
    return Story(
        too_long=first, unsold=first + 1, no_role=first + 2, no_rate=first + 3, not_billable=first + 4,
        not_approved=first + 5, next_month=first + 6, late=late.number, edited=us.number, waiting=eu.number,
        expense=next_expense, expense_without_receipt=next_expense + 1,
        corrections=(late, _longer(us, 60), _longer(eu, 45)), entries=tuple(planted), expenses=receipts,
    )  # fmt: skip


def _longer(entry: Entry, minutes: int) -> Entry:
    return replace(entry, minutes=entry.minutes + minutes, logged_at=CORRECTED_AT)


def _somebody(logged: Sequence[Entry], deal: str) -> Entry:
    """Return the first billable hour of a deal in September."""
    there = (e for e in logged if e.deal == deal and dt.date(2026, 9, 7) <= e.worked_on < dt.date(2026, 10, 1))
    return next(entry for entry in there if entry.is_billable and entry.is_approved)
