"""
Kantata's invoices -> bills. Pure; the vendor's words end here.

An invoice carries no lines: it names time entries, expenses, fixed fees, additional items and billing milestones, and
each of those says what it comes to (mavenlink_gem, specification.yml). An hour is its minutes at its `rate_in_cents`.
What Kantata takes off or adds by a time adjustment has no amount in the answer, so such a line has none either.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Literal

import msgspec

from psflow.systems.kantata.mapping import Aware, Id, Text
from psflow.systems.kantata.mapping_delivery import Expense
from psflow.systems.kantata.wire import Answer
from psflow.systems.ports import Bill, BillLine

INCLUDE = ("time_entries", "expenses", "fixed_fee_items", "additional_items", "billing_milestones", "time_adjustments")
_CENTS = 10**16  # more than any ledger column holds is no amount

Cents = Annotated[int, msgspec.Meta(gt=-_CENTS, lt=_CENTS)]
Unit = Annotated[int, msgspec.Meta(gt=0)]
Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]


class Invoice(msgspec.Struct):
    """invoices."""

    id: Id
    updated_at: Aware
    currency: Currency
    currency_base_unit: Unit
    draft: bool
    status: str | None = None
    invoice_date: dt.date | None = None
    user_invoice_number: str | int | None = None
    balance_in_cents: Cents | None = None
    tax_rate: Annotated[str, msgspec.Meta(pattern=r"^\d{1,3}(\.\d+)?$")] | float | None = None
    workspace_ids: list[Id] = []
    time_entry_ids: list[Id] = []
    expense_ids: list[Id] = []
    fixed_fee_item_ids: list[Id] = []
    additional_item_ids: list[Id] = []
    billing_milestone_ids: list[Id] = []
    time_adjustment_ids: list[Id] = []


class BilledTime(msgspec.Struct):
    """time_entries, as far as an invoice asks."""

    time_in_minutes: Annotated[int, msgspec.Meta(gt=-(1 << 31), lt=1 << 31)] | None = None
    rate_in_cents: Cents | None = None
    currency: Currency | None = None
    workspace_id: Id | None = None
    notes: Text | None = None


class Fee(msgspec.Struct):
    """fixed_fee_items, additional_items, billing_milestones."""

    amount_in_cents: Cents | None = None
    currency: Currency | None = None
    workspace_id: Id | None = None
    notes: Text | None = None
    title: Text | None = None


def reader(page: Answer) -> Callable[[Invoice], Bill]:
    """Return what makes bills of a page's invoices, with the records that came beside them."""
    hours, expenses = page.included("time_entries", BilledTime), page.included("expenses", Expense)
    fees = {kind: page.included(kind, Fee) for kind in INCLUDE[2:5]}

    def read(invoice: Invoice) -> Bill:
        lines = [_time(invoice, key, hours.get(key, BilledTime())) for key in invoice.time_entry_ids]
        lines += [_expense(invoice, key, expenses.get(key)) for key in invoice.expense_ids]
        for kind, known in fees.items():
            named: list[str] = getattr(invoice, f"{kind.removesuffix('s')}_ids")
            lines += [_fee(invoice, f"{kind}:{key}", known.get(key, Fee())) for key in named]
        lines += [_fee(invoice, f"time_adjustments:{key}", Fee()) for key in invoice.time_adjustment_ids]
        return _bill(invoice, lines)

    return read


def _bill(invoice: Invoice, lines: list[BillLine]) -> Bill:
    state: Literal["draft", "open", "cancelled"] = "draft" if invoice.draft else "open"
    number = invoice.user_invoice_number
    return Bill(
        bill_id=invoice.id,
        number=None if number is None else str(number),
        state="cancelled" if invoice.status in ("cancelled", "canceled") else state,
        currency=invoice.currency,
        billed_on=invoice.invoice_date,
        balance=_money(invoice.balance_in_cents, invoice),
        tax_pct=None if invoice.tax_rate is None else Decimal(str(invoice.tax_rate)),
        modified_at=invoice.updated_at,
        lines=tuple(lines),
    )


def _time(invoice: Invoice, key: str, entry: BilledTime) -> BillLine:
    minutes, cents = entry.time_in_minutes, entry.rate_in_cents
    amount = None
    if minutes is not None and cents is not None and entry.currency in (None, invoice.currency):
        whole = (Decimal(minutes) * cents / 60).quantize(Decimal(1), ROUND_HALF_UP)
        amount = whole / invoice.currency_base_unit
    return BillLine(
        f"time:{key}", "time", key, _project(invoice, entry.workspace_id), minutes, _money(cents, invoice), amount,
        entry.notes,
    )  # fmt: skip


def _expense(invoice: Invoice, key: str, expense: Expense | None) -> BillLine:
    alike = expense is not None and expense.currency == invoice.currency
    amount = _money(expense.amount_in_cents, invoice) if expense and alike else None
    where, says = (expense.workspace_id, expense.category) if expense else (None, None)
    return BillLine(f"expense:{key}", "expense", key, _project(invoice, where), None, None, amount, says)


def _fee(invoice: Invoice, line_id: str, fee: Fee) -> BillLine:
    alike = fee.currency in (None, invoice.currency)
    amount = _money(fee.amount_in_cents, invoice) if alike else None
    return BillLine(
        line_id, "fee", None, _project(invoice, fee.workspace_id), None, None, amount, fee.notes or fee.title
    )


def _project(invoice: Invoice, of_line: str | None) -> str | None:
    """Return the project of a line; the invoice's, where it has one only and the line names none."""
    return of_line or (invoice.workspace_ids[0] if len(invoice.workspace_ids) == 1 else None)


def _money(cents: int | None, invoice: Invoice) -> Decimal | None:
    return None if cents is None else Decimal(cents) / invoice.currency_base_unit
