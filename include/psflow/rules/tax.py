"""
Tax of a document: lines rounded, then one tax a category and rate on their sum (EN 16931 BR-CO-17, BR-CO-14). Pure.

The tie rule is the firm's: validators disagree. A credit note mirrors its invoice, so it is worked out above zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from psflow.rules.split import Tie, round_money

REASONED = frozenset(("AE", "E", "G", "K", "O"))  # reverse charge, exempt, export, intra-community, out of scope
WITH_BUYER_ID = frozenset(("AE", "K"))


@dataclass(frozen=True, slots=True)
class TaxedLine:
    """One line: quantity x price less a discount in percent, in a tax category at a rate in percent."""

    quantity: Decimal
    price: Decimal
    category: str
    rate_pct: Decimal
    discount_pct: Decimal = Decimal()
    reason_code: str | None = None


@dataclass(frozen=True, slots=True)
class CategoryTax:
    """All lines of one category and rate: their net and the tax on it."""

    category: str
    rate_pct: Decimal
    taxable: Decimal
    tax: Decimal
    reason_code: str | None


@dataclass(frozen=True, slots=True)
class DocumentTax:
    """A document: net, tax and gross, in its currency."""

    net: Decimal
    tax: Decimal
    gross: Decimal
    categories: tuple[CategoryTax, ...]


def net(line: TaxedLine, currency: str, tie: Tie = "half_up") -> Decimal:
    """Return a line's amount without tax, rounded once."""
    return round_money(line.quantity * line.price * (1 - line.discount_pct / 100), currency, tie)


def document_tax(lines: Sequence[TaxedLine], currency: str, tie: Tie = "half_up") -> DocumentTax:
    """Return the taxes of a document; lines of one category, rate and reason are taxed together."""
    nets = dict[tuple[str, Decimal, str | None], Decimal]()
    for line in lines:
        key = (line.category, line.rate_pct, line.reason_code)
        nets[key] = nets.get(key, Decimal()) + net(line, currency, tie)
    categories = tuple(
        CategoryTax(category, pct, taxable, _tax(taxable, pct, currency, tie), reason)
        for (category, pct, reason), taxable in sorted(nets.items(), key=lambda item: (item[0][0], item[0][1]))
    )
    total, tax = sum((c.taxable for c in categories), Decimal()), sum((c.tax for c in categories), Decimal())
    return DocumentTax(total, tax, total + tax, categories)


def missing(document: DocumentTax, buyer_vat_id: str | None) -> list[str]:
    """Return what a document still needs before it may be posted: reasons, and the buyer's VAT id."""
    found = [
        f"category {c.category}: no exemption reason" for c in document.categories
        if c.category in REASONED and not c.reason_code
    ]  # fmt: skip
    found += [
        f"category {c.category}: no customer VAT id" for c in document.categories
        if c.category in WITH_BUYER_ID and not buyer_vat_id
    ]  # fmt: skip
    return found + [f"category {c.category}: taxed at {c.rate_pct} %, must be 0"
                    for c in document.categories if c.category in REASONED and c.tax]  # fmt: skip


def mirrored(document: DocumentTax) -> DocumentTax:
    """Return the credit note of a whole document: every amount of the original below zero, none worked out again."""
    categories = tuple(
        CategoryTax(c.category, c.rate_pct, -c.taxable, -c.tax, c.reason_code) for c in document.categories
    )
    return DocumentTax(-document.net, -document.tax, -document.gross, categories)


def _tax(taxable: Decimal, pct: Decimal, currency: str, tie: Tie) -> Decimal:
    amount = round_money(abs(taxable) * pct / 100, currency, tie)
    return -amount if taxable < 0 else amount
