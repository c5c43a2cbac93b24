"""
What the ERP already holds and a document refers to: company, journal, products, currencies, buyers.

Found by name or code, never made: a missing one is a matter of setting up the ERP, and the error says which.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from psflow.errors import ConfigurationError, Rejected
from psflow.systems.tryton.mapping import Books, Buyer, Currency, Product, Tax, record_id
from psflow.systems.tryton.rpc import Rpc

Domain = list[Any]

_COMPANY_OF = {
    "project.work": "company",
    "account.invoice": "company",
    "account.invoice.line": "company",
    "account.move": "company",
    "account.move.line": "move.company",
    "timesheet.line": "company",
    "company.employee": "company",
}


@dataclass(slots=True)
class Masters:
    """Look-ups in one company. What no document changes is read once."""

    rpc: Rpc
    company_name: str
    payment_term: str
    hours_product: str
    fee_product: str
    _books: Books | None = field(default=None, init=False)
    _currencies: dict[str, Currency] = field(default_factory=dict, init=False)

    def company(self) -> int:
        """Return the company's id; every later call is made in it."""
        if self.rpc.company is None:
            found: int = self._one("company.company", [["party.name", "=", self.company_name]], self.company_name)["id"]
            if found not in self.rpc.context.get("companies", []):
                raise ConfigurationError(f"tryton: login {self.rpc.login!r} is not in {self.company_name!r}; add it")
            self.rpc.company = found
        return self.rpc.company

    def ours(self, model: str) -> Domain:
        """Return the condition on the company of a model's records; what all companies share has none."""
        of = _COMPANY_OF.get(model)
        return [[of, "=", self.company()]] if of else []

    def home_currency(self) -> str:
        """Return the ISO code of the currency in which the company keeps its books."""
        ours = [["id", "=", self.company()]]
        return str(self._one("company.company", ours, self.company_name, "currency.code")["currency."]["code"])

    def books(self) -> Books:
        """Return what every invoice of the company needs."""
        if self._books is None:
            company, term = self.company(), [["name", "=", self.payment_term]]
            (settings,) = self.rpc.read("model.account.configuration.read", [1], ["default_account_receivable"])
            self._books = Books(
                company=company,
                journal=self._one("account.journal", [["type", "=", "revenue"]], "revenue")["id"],
                receivable=settings["default_account_receivable"],
                payment_term=self._one("account.invoice.payment_term", term, self.payment_term)["id"],
                hours=self._product(self.hours_product),
                fee=self._product(self.fee_product),
                taxes=self._taxes(),
            )
        return self._books

    def currency(self, code: str) -> Currency:
        """Return a currency by its ISO code."""
        if code not in self._currencies:
            found = self._one("currency.currency", [["code", "=", code]], code, "rounding")
            self._currencies[code] = Currency(found["id"], code, Decimal(found["rounding"]))
        return self._currencies[code]

    def buyer(self, payload: dict[str, Any]) -> Buyer:
        """Return what an invoice takes from its customer. Raises Rejected when the customer has no address."""
        party = record_id(payload, "customer_ref")
        books = self.books()
        fields = ["account_receivable", "customer_payment_term", "addresses.invoice"]
        found = self._one("party.party", [["id", "=", party]], f"number {party}", *fields)
        addresses = sorted(found["addresses."], key=lambda a: (not a["invoice"], a["id"]))
        if not addresses:
            raise Rejected(f"tryton: party {party} has no address to invoice; add one in Tryton", "address")
        return Buyer(
            party=party,
            address=addresses[0]["id"],
            receivable=found["account_receivable"] or books.receivable,
            payment_term=found["customer_payment_term"] or books.payment_term,
        )

    def country(self, text: str | None) -> int | None:
        """Return the country of this ISO code or name, or None when the ERP knows none."""
        either = ["OR", ["code", "=", text], ["name", "=", text]]
        found = self._rows("country.country", either, []) if text else []
        return int(found[0]["id"]) if len(found) == 1 else None

    def status(self, name: str) -> int:
        """Return a project status by its name in the module."""
        return int(self.rpc.read("model.ir.model.data.get_id", "project", name))

    def _taxes(self) -> dict[str, Tax]:
        ours: Domain = [["company", "=", self.company()], ["parent", "=", None], ["type", "=", "percentage"]]
        fields = ["id", "name", "rate", "invoice_account", "credit_note_account"]
        rows = self.rpc.read("model.account.tax.search_read", ours, 0, None, None, fields)
        return {row["name"]: Tax(*(row[field] for field in fields)) for row in rows}

    def _product(self, name: str) -> Product:
        fields = ["default_uom", "default_uom.digits", "template.account_category.account_revenue"]
        found = self._one("product.product", [["template.name", "=", name]], name, *fields)
        account = (found["template."]["account_category."] or {}).get("account_revenue")
        if account is None:
            raise ConfigurationError(f"tryton: product {name!r} has no revenue account; set its account category")
        return Product(found["id"], found["default_uom"], found["default_uom."]["digits"], account)

    def _one(self, model: str, domain: Domain, name: str, *fields: str) -> dict[str, Any]:
        rows = self._rows(model, domain, list(fields))
        if len(rows) != 1:
            raise ConfigurationError(f"tryton: {len(rows)} records of {model} are {name!r}, not one; set up the ERP")
        return rows[0]

    def _rows(self, model: str, domain: Domain, fields: list[str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.rpc.read(f"model.{model}.search_read", domain, 0, 2, None, ["id", *fields])
        return rows
