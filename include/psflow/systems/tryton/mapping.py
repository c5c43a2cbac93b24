"""
Tryton records <-> payloads and contracts. Pure; the vendor's words end here.

An invoice line's amount is Tryton's own: quantity x unit price, half-even to the currency's rounding. A line of
ours therefore goes out as hours at their rate when that gives its amount to the cent, and as one fee of that amount
when it does not (half a cent, more digits than the unit holds) or is by the day; expenses go out as one fee a category.
Tryton works a tax out on quantity x price before that is rounded, and we on rounded nets: so a line under a tax with a
rate goes out as one fee too, unless quantity x price is whole cents. It also rounds what is above and what is below
zero by itself: where a document has both under one tax, the two amounts go out with it, and Tryton checks their bases.
The line's `note` holds our key: it is free text, is not printed, and stays readable after posting. A project's
`comment` holds the effect's key and nothing else, since a project has no field of its own for that and text can be
searched exactly.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any, Literal

from psflow.errors import ConfigurationError, Rejected
from psflow.systems.ports import ErpInvoice, ErpInvoiceLine, FxRate, LedgerLine, Page, Pulled
from psflow.systems.tryton.rpc import day, number

_FX_DIGITS = 8
PRICE_DIGITS = 4  # Tryton's default of [product] price_decimal
POSTED = frozenset(("posted", "paid"))


def standing(state: str) -> Literal["open", "closed", "final"]:
    """Return whether a document in this state can still be cancelled."""
    return "final" if state in POSTED else "closed" if state == "cancelled" else "open"


MODELS = {"customer": "party.party", "project": "project.work", "invoice": "account.invoice"}

# what a record's page shows
PAGE = {
    "customer": ["code", "name", "addresses/full_address"],
    "project": ["number", "name", "party/name", "status/name", "comment"],
    "invoice": [
        "number", "reference", "state", "party/name", "invoice_date", "currency/code", "total_amount", "move/number",
        "lines/description", "lines/quantity", "lines/unit_price", "lines/amount",
    ],
}  # fmt: skip

# account_kind <- the type of the account, the first that is set
_KINDS = ("receivable", "revenue", "payable", "expense")

INVOICE_FIELDS = [
    "reference", "number", "state", "currency.code", "company.currency", "currency", "untaxed_amount", "tax_amount",
    "total_amount", "move", "amount_to_pay", "reconciled",
]  # fmt: skip
LINE_FIELDS = ["invoice", "note", "quantity", "unit_price", "amount"]
LEDGER_FIELDS = [
    "move", "origin", "debit", "credit", "amount_second_currency", *(f"account.type.{kind}" for kind in _KINDS),
]  # fmt: skip
RATE_FIELDS = ["currency.code", "date", "rate", "create_date", "write_date"]
PARTY_FIELDS = ["name", "addresses.street", "addresses.city", "addresses.country.code"]


@dataclass(frozen=True, slots=True)
class Product:
    """What a line sells: `account` takes the revenue, `digits` is what the unit of measure holds."""

    product: int
    unit: int
    digits: int
    account: int


@dataclass(frozen=True, slots=True)
class Tax:
    """A tax of the company: its rate (0.19; 0 is none), and the accounts that take it above and below zero."""

    id: int
    name: str
    rate: Decimal
    owed: int
    credited: int


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency as the ERP rounds it."""

    id: int
    code: str
    rounding: Decimal


@dataclass(frozen=True, slots=True)
class Buyer:
    """What an invoice takes from its customer."""

    party: int
    address: int
    receivable: int
    payment_term: int


@dataclass(frozen=True, slots=True)
class Books:
    """What every invoice of one company needs, read once."""

    company: int
    journal: int
    receivable: int
    payment_term: int
    hours: Product
    fee: Product
    taxes: Mapping[str, Tax] = field(default_factory=dict)


def record_id(payload: Mapping[str, Any], name: str) -> int:
    """Return the ERP's id in a payload. Raises ConfigurationError: an id of another system cannot be sent."""
    try:
        return int(payload[name])
    except (KeyError, ValueError):
        raise ConfigurationError(f"tryton: {name} {payload.get(name)!r} is not the number of a record") from None


def party(payload: Mapping[str, Any], country: int | None, payment_term: int) -> dict[str, Any]:
    """Return the values of a customer; a country the ERP does not know becomes the last line of the address."""
    address = {
        "street_unstructured": _street(payload, country is not None),
        "city": payload.get("city"),
        "country": country,
    }
    return {
        "code": payload["customer_id"],
        "name": payload["name"],
        "customer_payment_term": payment_term,
        "addresses": [["create", [{name: value for name, value in address.items() if value}]]],
    }


def is_party(payload: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether the party is what `party` made from this payload."""
    (address, *others) = found["addresses."] or [{}]
    country = address.get("country.")
    there = (found["name"], (address.get("street") or "").strip(), address.get("city") or "")
    return not others and there == (payload["name"], _street(payload, bool(country)), payload.get("city") or "")


def _street(payload: Mapping[str, Any], country_is_known: bool) -> str:
    parts = [payload.get("street"), None if country_is_known else payload.get("country")]
    return "\n".join(part.strip() for part in parts if part and part.strip())


def project(payload: Mapping[str, Any], key: str, company: int, status: int) -> dict[str, Any]:
    """Return the values of a project shell. Dates, currency and rates live in the PSA: a project here has none."""
    return {
        "type": "project",
        "name": payload.get("title") or f"{payload['project_code']} {payload['name']}",
        "comment": key,
        "company": company,
        "party": record_id(payload, "customer_ref"),
        "status": status,
    }


def invoice(payload: Mapping[str, Any], buyer: Buyer, books: Books, currency: Currency) -> dict[str, Any]:
    """
    Return the values of a draft. Nothing is left to the server but the sums of taxes: over RPC it fills in nothing.

    Raises Rejected when a line's amount has more digits than the currency.
    """
    lines = [line(each, books, currency) for each in payload["lines"]]
    lines += [expenses(each, books, currency) for each in payload.get("expenses", ())]
    mixed = _mixed_taxes([*payload["lines"], *payload.get("expenses", ())], books, currency)
    return {
        "type": "out",
        "company": books.company,
        "reference": payload["invoice_key"],
        "description": payload["project_code"],
        "party": buyer.party,
        "invoice_address": buyer.address,
        "account": buyer.receivable,
        "payment_term": buyer.payment_term,
        "journal": books.journal,
        "currency": currency.id,
        "invoice_date": day(dt.date.fromisoformat(payload["invoiced_on"])),
        "lines": [["create", lines]],
    } | ({"taxes": [["create", mixed]]} if mixed else {})


def line(payload: Mapping[str, Any], books: Books, currency: Currency) -> dict[str, Any]:
    """Return the values of one line whose amount in the ERP is the payload's, see the module."""
    hours, rate, amount = (Decimal(payload[name]) for name in ("hours", "hourly_rate", "amount"))
    sold, quantity, price = books.hours, hours, rate
    said = f"{payload['role']}: {hours:f} h at {rate:f} {currency.code}"
    if "day_rate" in payload:
        said = f"{payload['role']}: {Decimal(payload['days']):f} d at {Decimal(payload['day_rate']):f} {currency.code}"
    tax = _tax(payload, books)
    makes = hours * rate if tax and tax.rate else erp_amount(hours, rate, currency)
    if "day_rate" in payload or not (_fits(hours, sold.digits) and _fits(rate, PRICE_DIGITS) and makes == amount):
        sold, quantity, price = books.fee, Decimal(1), amount
    return _line(payload, sold, quantity, price, said + _order(payload), books, currency)


def _order(payload: Mapping[str, Any]) -> str:
    return f", purchase order {payload['purchase_order']}" if payload.get("purchase_order") else ""


def expenses(payload: Mapping[str, Any], books: Books, currency: Currency) -> dict[str, Any]:
    """Return the values of the line of one category of expenses: one fee of their amount, at cost."""
    amount, said = Decimal(payload["amount"]), f"Expenses: {payload['category']}{_order(payload)}"
    return _line(payload, books.fee, Decimal(1), amount, said, books, currency)


def _line(
    payload: Mapping[str, Any], sold: Product, quantity: Decimal, price: Decimal, said: str, books: Books,
    currency: Currency,
) -> dict[str, Any]:  # fmt: skip
    key, amount = payload["line_key"], Decimal(payload["amount"])
    if erp_amount(quantity, price, currency) != amount:
        raise Rejected(f"tryton: line {key}: {currency.code} has no amount of {amount}; round it first")
    tax = _tax(payload, books)
    return {
        "type": "line",
        "company": books.company,
        "currency": currency.id,
        "product": sold.product,
        "account": sold.account,
        "unit": sold.unit,
        "quantity": quantity,
        "unit_price": number(price),
        "description": said,
        "note": key,
    } | ({"taxes": [["add", [tax.id]]]} if tax else {})


def _mixed_taxes(lines: Sequence[Mapping[str, Any]], books: Books, currency: Currency) -> list[dict[str, Any]]:
    """Return the two parts of each tax that has lines above and below zero; together they are the tax of the sum."""
    found: list[dict[str, Any]] = []
    for name, tax in books.taxes.items():
        amounts = [Decimal(each["amount"]) for each in lines if each.get("erp_tax") == name]
        above, below = (sum((a for a in amounts if (a >= 0) is up), Decimal()) for up in (True, False))
        if tax.rate and above and below:
            first = erp_amount(above, tax.rate, currency)
            rest = erp_amount(above + below, tax.rate, currency) - first
            found += [_part(tax, tax.owed, above, first), _part(tax, tax.credited, below, rest)]
    return found


def _part(tax: Tax, account: int, base: Decimal, amount: Decimal) -> dict[str, Any]:
    head = {"tax": tax.id, "description": tax.name, "account": account, "manual": False}
    return head | {"base": number(base), "amount": number(amount)}


def _tax(payload: Mapping[str, Any], books: Books) -> Tax | None:
    name = payload.get("erp_tax")
    if name is not None and name not in books.taxes:
        raise ConfigurationError(f"tryton: the company has no tax {name!r}; add it, or correct `taxes` in psflow.yaml")
    return books.taxes[name] if name else None


def erp_amount(quantity: Decimal, price: Decimal, currency: Currency) -> Decimal:
    """Return what the ERP makes of a line."""
    with localcontext() as context:
        context.prec = 60
        steps = quantity * price / currency.rounding
        return steps.quantize(Decimal(1), rounding=ROUND_HALF_EVEN) * currency.rounding


def _fits(value: Decimal, digits: int) -> bool:
    return value == round(value, digits)


def erp_invoice(
    found: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], ledger: Sequence[Mapping[str, Any]]
) -> ErpInvoice:
    """Return a document with its own lines and ledger lines."""
    foreign = found["currency"] != found["company."]["currency"]
    return ErpInvoice(
        erp_invoice_id=str(found["id"]),
        reference=found["reference"],
        number=found["number"],
        state=found["state"],
        currency=found["currency."]["code"],
        untaxed_amount=found["untaxed_amount"],
        tax_amount=found["tax_amount"],
        total_amount=found["total_amount"],
        erp_move_id=str(found["move"]) if found["move"] else None,
        lines=tuple(_invoice_line(each) for each in lines),
        ledger=tuple(_ledger_line(each, foreign) for each in ledger),
        to_pay=(found["amount_to_pay"] or Decimal(0)) if found["state"] in POSTED else None,
        paid_on=found["reconciled"] if found["state"] == "paid" else None,
    )


def _invoice_line(found: Mapping[str, Any]) -> ErpInvoiceLine:
    return ErpInvoiceLine(
        erp_line_id=str(found["id"]),
        line_key=found["note"] or None,
        quantity=Decimal(found["quantity"]),
        unit_price=found["unit_price"],
        amount=found["amount"],
    )


def _ledger_line(found: Mapping[str, Any], foreign: bool) -> LedgerLine:
    """Foreign documents tie out in their own currency; a rounding difference between the two has none of it."""
    debit, credit = found["debit"], found["credit"]
    if foreign:
        signed = found["amount_second_currency"] or Decimal(0)
        debit, credit = max(signed, Decimal(0)), max(-signed, Decimal(0))
    model, _, origin = (found["origin"] or "").partition(",")
    return LedgerLine(
        erp_move_line_id=str(found["id"]),
        erp_move_id=str(found["move"]),
        account_kind=_kind(found["account."]["type."] or {}),
        debit=debit,
        credit=credit,
        erp_line_id=origin if model == "account.invoice.line" else None,
    )


def fx_page(
    code: str,
    home: str,
    rates: Sequence[Mapping[str, Any]],
    home_rates: Sequence[Mapping[str, Any]],
    since: dt.date | None,
) -> Page[FxRate]:
    """Return `code` in `home` from each day on which one of the two changed; Tryton keeps units for a common base."""
    rows = []
    for on in sorted({rate["date"] for rate in (*rates, *home_rates) if since is None or rate["date"] >= since}):
        theirs, ours = _valid(rates, on), _valid(home_rates, on)
        if theirs and ours:  # before the first of either the pair has no rate: missing, not 1
            fx = FxRate(code, home, on, round(ours["rate"] / theirs["rate"], _FX_DIGITS))
            stamps = [rate["write_date"] or rate["create_date"] for rate in (theirs, ours)]
            said = {"currency": code, "in": home, "date": on.isoformat()}
            said |= {"rate": str(theirs["rate"]), "home_rate": str(ours["rate"])}
            rows.append(Pulled(f"{code}/{home}/{on}", fx, json.dumps(said), max(stamps)))
    return Page(rows, [])


def _valid(rates: Sequence[Mapping[str, Any]], on: dt.date) -> Mapping[str, Any] | None:
    return max((rate for rate in rates if rate["date"] <= on), key=lambda rate: rate["date"], default=None)


def _kind(account_type: Mapping[str, Any]) -> str:
    return next((kind for kind in _KINDS if account_type.get(kind)), "other")
