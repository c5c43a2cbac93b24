"""A document is posted only when it says to the cent what was decided."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from psflow.contracts import Invoice, InvoiceLine
from psflow.rules.billing import is_cancelled, read_back_breaks
from psflow.systems import ErpInvoice, ErpInvoiceLine

INVOICE = Invoice(
    invoice_key="B.1",
    project_code="P-1",
    customer_ref="7",
    legal_entity_id="MER-US",
    currency="USD",
    invoiced_on=dt.date(2026, 10, 31),
    lines=(
        InvoiceLine(
            line_key="B.1.1", role="Partner", hours=Decimal("1.5"), hourly_rate=Decimal("320"), amount=Decimal("480")
        ),
    ),
)


def document(number: str = "1", amount: str = "480.00", **fields: Any) -> ErpInvoice:
    line = ErpInvoiceLine("l", fields.pop("line_key", "B.1.1"), Decimal("1.5"), Decimal("320"), Decimal(amount))
    plain: dict[str, Any] = {
        "erp_invoice_id": number,
        "reference": "B.1",
        "number": None,
        "state": "draft",
        "currency": "USD",
        "untaxed_amount": Decimal(amount),
        "tax_amount": Decimal(),
        "total_amount": Decimal(amount),
        "erp_move_id": None,
        "lines": (line,),
        "ledger": (),
    }
    return ErpInvoice(**(plain | fields))


def test_a_document_that_agrees_has_no_breaks() -> None:
    assert read_back_breaks(INVOICE, "1", [document()]) == []


@pytest.mark.parametrize("state", ["posted", "paid"])
def test_a_cancelled_twin_does_not_matter_and_a_posted_one_does(state: str) -> None:
    assert read_back_breaks(INVOICE, "1", [document(), document("2", state="cancelled")]) == []
    (found,) = read_back_breaks(INVOICE, "1", [document(), document("2", state=state)])
    assert found.message == f"document 2 is {state} under the same reference"


def test_only_our_own_document_cancelled_with_nothing_alive_beside_it_is_cancelled() -> None:
    gone = document(state="cancelled")
    assert is_cancelled("1", [gone]) and is_cancelled("1", [gone, document("2", state="cancelled")])
    assert not is_cancelled("1", [document()]) and not is_cancelled("1", [gone, document("2")])
    assert not is_cancelled("1", []) and not is_cancelled("1", [document("2", state="cancelled")])


def test_a_line_that_stands_twice_is_told_even_when_the_total_was_bent_to_fit() -> None:
    twice = document(lines=document().lines * 2, untaxed_amount=Decimal("480.00"))
    assert [b.message for b in read_back_breaks(INVOICE, "1", [twice])] == ["the ERP has it 2 times"]


@pytest.mark.parametrize(
    ("documents", "field"),
    [
        ([], "erp_invoice_id"),
        ([document(state="cancelled")], "erp_invoice_id"),
        ([document(amount="480.01")], "line B.1.1"),
        ([document(line_key=None)], "line (a line without our key)"),
        ([document(currency="EUR")], "currency"),
        ([document(untaxed_amount=Decimal("479.99"))], "amount"),
    ],
)
def test_a_document_that_differs_by_anything_is_told(documents: list[ErpInvoice], field: str) -> None:
    assert field in [b.field for b in read_back_breaks(INVOICE, "1", documents)]
