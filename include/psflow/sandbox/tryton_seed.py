"""
The firm's books in a new Tryton: two companies with chart and fiscal years, rates, term, products, psflow's own login.

Over the same JSON-RPC as the adapter. Setting up an empty sandbox is no effect: nobody else is there, and a failed
set-up is thrown away whole. Needs one server process: others learn of the company too late.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from psflow.sandbox.meridian import exchange
from psflow.systems.tryton.rpc import Rpc, day, number

MODULES = ("account_invoice", "project")  # with what they depend on
LOGIN = "psflow"
YEARS = (2025, 2026, 2027)
CURRENCIES = (  # code, name, symbol, number, units for one dollar before the monthly rates begin
    ("USD", "US Dollar", "$", "840", "1"),
    ("EUR", "Euro", "€", "978", "0.92"),
    ("GBP", "Pound Sterling", "£", "826", "0.79"),
)
COUNTRIES = (
    ("United States", "US"), ("Canada", "CA"), ("United Kingdom", "GB"), ("Ireland", "IE"), ("Germany", "DE"),
    ("Netherlands", "NL"), ("France", "FR"), ("Austria", "AT"), ("Switzerland", "CH"), ("Spain", "ES"),
)  # fmt: skip
PRODUCTS = (("Consulting hours", "uom_hour"), ("Consulting fee", "uom_unit"))
GROUPS = (  # invoices and moves; projects; hours
    ("account", "group_account"), ("project", "group_project_admin"), ("timesheet", "group_timesheet_admin"),
)  # fmt: skip

_BEGIN = dt.date(2020, 1, 1)

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Company:
    """A company of the firm: its taxes by name and rate; `mark` tells its documents' numbers from the other one's."""

    name: str
    currency: str
    street: str
    city: str
    taxes: tuple[tuple[str, str], ...]
    mark: str = ""


COMPANIES = (
    Company("Meridian Consulting LLC", "USD", "100 Market Street", "Springfield", (("No sales tax", "0"),)),
    Company(
        "Meridian Europe GmbH",
        "EUR",
        "Kaiserstraße 7",
        "Frankfurt",
        (("USt 19 %", "0.19"), ("Reverse charge", "0"), ("Not taxable in Germany", "0")),
        "EU-",
    ),
)


def seed(rpc: Rpc, password: str) -> None:
    """Fill the new database as its administrator; `password` is that of psflow's login. Raises Rejected."""
    currencies = {each[0]: _currency(rpc, *each) for each in CURRENCIES}
    _create(rpc, "country.country", *({"name": name, "code": code} for name, code in COUNTRIES))
    companies = [_company(rpc, each, currencies) for each in COMPANIES]
    _sales(rpc, companies)
    groups = [_xml_id(rpc, *group) for group in GROUPS]
    user = {"name": "psflow integration", "login": LOGIN, "password": password, "company": companies[0]}
    user |= {"companies": [["add", companies]], "company_filter": "all", "groups": [["add", groups]]}
    _create(rpc, "res.user", user)


def _currency(rpc: Rpc, code: str, name: str, symbol: str, numeric: str, rate: str) -> int:
    values = {"code": code, "name": name, "symbol": symbol, "numeric_code": numeric, "digits": 2}
    known = {_BEGIN: Decimal(rate)} | exchange.rates().get(code, {})
    rates = [["create", [{"date": day(on), "rate": number(each)} for on, each in known.items()]]]
    (made,) = _create(rpc, "currency.currency", values | {"rounding": number(Decimal("0.01")), "rates": rates})
    return made


def _company(rpc: Rpc, company: Company, currencies: Mapping[str, int]) -> int:
    address = {"street_unstructured": company.street, "city": company.city}
    (party,) = _create(rpc, "party.party", {"name": company.name, "addresses": [["create", [address]]]})
    (made,) = _create(rpc, "company.company", {"party": party, "currency": currencies[company.currency]})
    _work_in(rpc, made)
    _chart(rpc, made)
    _taxes(rpc, made, company.taxes)
    for year in YEARS:
        _fiscal_year(rpc, made, year, company.mark)
    return made


def _work_in(rpc: Rpc, company: int) -> None:
    """Let the administrator work in a company: values that each company has of its own are now this one's."""
    (me,) = rpc.read("model.res.user.search", [["login", "=", rpc.login]], 0, 1, None)
    rpc.read("model.res.user.write", [me], {"companies": [["add", [company]]], "company": company})
    rpc.context = {}  # else the company we come from answers for the user's own
    rpc.context = rpc.read("model.res.user.get_preferences", True)


def _chart(rpc: Rpc, company: int) -> None:
    template = {"account_template": _xml_id(rpc, "account", "account_template_root_en"), "company": company}
    session, *_ = rpc.read("wizard.account.create_chart.create")
    rpc.read("wizard.account.create_chart.execute", session, {"account": template}, "create_account")
    used = {f"account_{kind}": _account(rpc, company, kind) for kind in ("receivable", "payable")}
    used |= {f"category_account_{kind}": _account(rpc, company, kind) for kind in ("revenue", "expense")}
    states = {"account": template, "properties": {"company": company} | used}
    rpc.read("wizard.account.create_chart.execute", session, states, "create_properties")
    rpc.read("wizard.account.create_chart.delete", session)
    differences = {"credit": _account(rpc, company, "revenue"), "debit": _account(rpc, company, "expense")}
    values = {f"currency_exchange_{side}_account": account for side, account in differences.items()}
    (settings,) = rpc.read("model.account.configuration.search", [], 0, 1, None) or [1]
    rpc.read("model.account.configuration.write", [settings], values)


def _taxes(rpc: Rpc, company: int, taxes: Sequence[tuple[str, str]]) -> None:
    """Make a company's taxes; what they come to is owed on one account, and rounded once a document."""
    domain = [["company", "=", company], ["type.statement", "=", "balance"], ["type.payable", "=", False]]
    domain += [["closed", "!=", True], ["name", "ilike", "%Tax%"]]
    (owed,) = rpc.read("model.account.account.search", domain, 0, 1, None)
    both = {"invoice_account": owed, "credit_note_account": owed, "company": company, "type": "percentage"}
    _create(
        rpc, "account.tax",
        *(both | {"name": name, "description": name, "rate": number(Decimal(rate))} for name, rate in taxes),
    )  # fmt: skip


def _fiscal_year(rpc: Rpc, company: int, year: int, mark: str) -> None:
    moves, invoices, credits = _sequences(rpc, company, year, mark)
    numbers = {
        "company": company,
        "in_invoice_sequence": invoices,
        "in_credit_note_sequence": credits,
        "out_invoice_sequence": invoices,
        "out_credit_note_sequence": credits,
    }
    values = {
        "name": str(year),
        "company": company,
        "start_date": day(dt.date(year, 1, 1)),
        "end_date": day(dt.date(year, 12, 31)),
        "move_sequence": moves,
        "invoice_sequences": [["create", [numbers]]],
    }
    rpc.read("model.account.fiscalyear.create_period", _create(rpc, "account.fiscalyear", values))


def _sequences(rpc: Rpc, company: int, year: int, mark: str) -> Sequence[int]:
    """Return the sequences of moves, invoices and credit notes; strict, so without a gap."""
    plans = (("Account Move", "", 0), ("Invoice", f"INV-{mark}{year}-", 5), ("Invoice", f"CN-{mark}{year}-", 5))
    types = {row["name"]: row["id"] for row in _rows(rpc, "ir.sequence.type", ["name"])}
    return _create(
        rpc,
        "ir.sequence.strict",
        *(
            {"name": f"{prefix or kind} {year}", "sequence_type": types[kind], "company": company}
            | {"prefix": prefix, "padding": padding}
            for kind, prefix, padding in plans
        ),
    )


def _sales(rpc: Rpc, companies: Sequence[int]) -> None:
    """Make the payment term and what is sold; each company gives that accounts and a price of its own."""
    in_30_days = {"type": "remainder", "relativedeltas": [["create", [{"days": 30}]]]}
    _create(rpc, "account.invoice.payment_term", {"name": "Net 30", "lines": [["create", [in_30_days]]]})
    (services,) = _create(rpc, "product.category", {"name": "Professional services", "accounting": True})
    free = {"list_price": number(Decimal(0))}
    templates = _create(rpc, "product.template", *(_product(rpc, *each, services) | free for each in PRODUCTS))
    for company in companies:
        _work_in(rpc, company)
        accounts = {f"account_{kind}": _account(rpc, company, kind) for kind in ("revenue", "expense")}
        rpc.read("model.product.category.write", [services], accounts)
        rpc.read("model.product.template.write", templates, free)


def _product(rpc: Rpc, name: str, unit: str, category: int) -> Values:
    values = {"name": name, "type": "service", "account_category": category, "products": [["create", [{}]]]}
    return values | {"default_uom": _xml_id(rpc, "product", unit)}


def _account(rpc: Rpc, company: int, kind: str) -> int:
    """Return the first open account of a kind; parents of the chart are closed."""
    domain = [["company", "=", company], [f"type.{kind}", "=", True], ["closed", "!=", True]]
    (found,) = rpc.read("model.account.account.search", domain, 0, 1, None)
    return int(found)


def _xml_id(rpc: Rpc, module: str, name: str) -> int:
    return int(rpc.read("model.ir.model.data.get_id", module, name))


def _rows(rpc: Rpc, model: str, fields: list[str]) -> list[Values]:
    rows: list[Values] = rpc.read(f"model.{model}.search_read", [], 0, None, None, fields)
    return rows


def _create(rpc: Rpc, model: str, *values: Values) -> list[int]:
    made: list[int] = rpc.read(f"model.{model}.create", list(values))
    return made
