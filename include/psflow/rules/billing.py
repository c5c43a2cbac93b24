"""Does the ERP's document say what was decided? Pure: no clock, no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from psflow.contracts import Invoice

POSTED = frozenset(("posted", "paid"))  # in the ledger: it cannot be cancelled any more


class DocumentLine(Protocol):
    """A line as the ERP holds it."""

    @property
    def line_key(self) -> str | None: ...
    @property
    def amount(self) -> Decimal: ...


class Document(Protocol):
    """A document as the ERP holds it."""

    @property
    def erp_invoice_id(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def currency(self) -> str: ...
    @property
    def untaxed_amount(self) -> Decimal: ...
    @property
    def tax_amount(self) -> Decimal: ...
    @property
    def total_amount(self) -> Decimal: ...
    @property
    def lines(self) -> Sequence[DocumentLine]: ...


@dataclass(frozen=True, slots=True)
class Break:
    """One point in which a document differs from its invoice."""

    field: str
    value: str | None
    message: str


def read_back_breaks(invoice: Invoice, erp_invoice_id: str, documents: Sequence[Document]) -> list[Break]:
    """Return how the document differs to the cent; [] when it may be posted. Cancelled documents do not count."""
    live = [d for d in documents if d.state != "cancelled"]
    posted_others = [d for d in live if d.erp_invoice_id != erp_invoice_id and d.state in POSTED]
    breaks = [_other(d) for d in posted_others]
    ours = next((d for d in live if d.erp_invoice_id == erp_invoice_id), None)
    if ours is None:
        return [*breaks, Break("erp_invoice_id", erp_invoice_id, f"the ERP has no live document {erp_invoice_id}")]
    return [*breaks, *_compare(invoice, ours)]


def is_cancelled(erp_invoice_id: str, documents: Sequence[Document]) -> bool:
    """Whether our document was cancelled in the ERP and nothing alive stands under its reference."""
    ours = any(d.erp_invoice_id == erp_invoice_id for d in documents)
    return ours and all(d.state == "cancelled" for d in documents)


def _other(document: Document) -> Break:
    return Break(
        "reference",
        document.erp_invoice_id,
        f"document {document.erp_invoice_id} is {document.state} under the same reference",
    )


def _compare(invoice: Invoice, document: Document) -> list[Break]:
    wanted = {line.line_key: line.amount for line in invoice.lines}
    wanted |= {line.line_key: line.amount for line in invoice.expenses}
    has = {line.line_key or "(a line without our key)": line.amount for line in document.lines}
    lines = [
        Break(f"line {key}", str(has.get(key)), f"the ERP has {has.get(key)} where {wanted.get(key)} was decided")
        for key in sorted(wanted.keys() | has.keys())
        if wanted.get(key) != has.get(key)
    ]
    times = Counter(line.line_key for line in document.lines if line.line_key)
    lines += [Break(f"line {key}", str(n), f"the ERP has it {n} times") for key, n in times.items() if n > 1]
    total = sum(wanted.values(), Decimal())
    if document.untaxed_amount != total:
        lines.append(
            Break(
                "amount",
                str(document.untaxed_amount),
                f"the document says {document.untaxed_amount}, its lines {total}",
            )
        )
    lines += _taxes(invoice, document, total)
    if document.currency != invoice.currency:
        lines.append(
            Break("currency", document.currency, f"the document is in {document.currency}, not {invoice.currency}")
        )
    return lines


def _taxes(invoice: Invoice, document: Document, net: Decimal) -> list[Break]:
    """Return how the ERP's own tax and total differ; an invoice from before taxes were kept says nothing of them."""
    if not invoice.taxes:
        return []
    tax = sum((each.tax for each in invoice.taxes), Decimal())
    found = (("tax", document.tax_amount, tax), ("total", document.total_amount, net + tax))
    return [
        Break(field, str(has), f"the ERP's {field} is {has} where {wanted} was decided")
        for field, has, wanted in found
        if has != wanted
    ]
