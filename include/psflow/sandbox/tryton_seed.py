"""
The firm's books in a new Tryton: company, chart, fiscal years, term, products, and psflow's own login.

Over the same JSON-RPC as the adapter. Setting up an empty sandbox is no effect: nobody else is there, and a failed
set-up is thrown away whole. Needs one server process: others learn of the company too late.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from psflow.systems.tryton.rpc import Rpc, day, number

MODULES = ("account_invoice", "project")  # with what they depend on
COMPANY = "Meridian Consulting LLC"
LOGIN = "psflow"
YEARS = (2025, 2026, 2027)
CURRENCIES = (("USD", "US Dollar", "$", "840", "1"), ("EUR", "Euro", "€", "978", "0.92"))  # rate: per USD
COUNTRIES = (
    ("United States", "US"), ("Canada", "CA"), ("United Kingdom", "GB"), ("Ireland", "IE"), ("Germany", "DE"),
    ("Netherlands", "NL"), ("France", "FR"), ("Austria", "AT"), ("Switzerland", "CH"), ("Spain", "ES"),
)  # fmt: skip
PRODUCTS = (("Consulting hours", "uom_hour"), ("Consulting fee", "uom_unit"))
GROUPS = (("account", "group_account"), ("project", "group_project_admin"))  # invoices and moves; projects

_BEGIN = dt.date(2020, 1, 1)

Values = dict[str, Any]


def seed(rpc: Rpc, password: str) -> None:
    """Fill the new database as its administrator; `password` is that of psflow's login. Raises Rejected."""
    currencies = [_currency(rpc, *each) for each in CURRENCIES]
    _create(rpc, "country.country", *({"name": name, "code": code} for name, code in COUNTRIES))
    company = _company(rpc, currencies[0])
    _chart(rpc, company)
    for year in YEARS:
        _fiscal_year(rpc, company, year)
    _sales(rpc)
    groups = [_xml_id(rpc, *group) for group in GROUPS]
    user = {"name": "psflow integration", "login": LOGIN, "password": password, "company": company}
    _create(rpc, "res.user", user | {"companies": [["add", [company]]], "groups": [["add", groups]]})


def _currency(rpc: Rpc, code: str, name: str, symbol: str, numeric: str, rate: str) -> int:
    values = {"code": code, "name": name, "symbol": symbol, "numeric_code": numeric, "digits": 2}
    rates = [["create", [{"date": day(_BEGIN), "rate": number(Decimal(rate))}]]]
    (made,) = _create(rpc, "currency.currency", values | {"rounding": number(Decimal("0.01")), "rates": rates})
    return made


def _company(rpc: Rpc, currency: int) -> int:
    address = {"street_unstructured": "100 Market Street", "city": "Springfield"}
    (party,) = _create(rpc, "party.party", {"name": COMPANY, "addresses": [["create", [address]]]})
    (company,) = _create(rpc, "company.company", {"party": party, "currency": currency})
    (me,) = rpc.read("model.res.user.search", [["login", "=", rpc.login]], 0, 1, None)
    rpc.read("model.res.user.write", [me], {"companies": [["add", [company]]], "company": company})
    rpc.context = rpc.read("model.res.user.get_preferences", True)
    return company


def _chart(rpc: Rpc, company: int) -> None:
    template = {"account_template": _xml_id(rpc, "account", "account_template_root_en"), "company": company}
    session, *_ = rpc.read("wizard.account.create_chart.create")
    rpc.read("wizard.account.create_chart.execute", session, {"account": template}, "create_account")
    used = {f"account_{kind}": _account(rpc, kind) for kind in ("receivable", "payable")}
    used |= {f"category_account_{kind}": _account(rpc, kind) for kind in ("revenue", "expense")}
    states = {"account": template, "properties": {"company": company} | used}
    rpc.read("wizard.account.create_chart.execute", session, states, "create_properties")
    rpc.read("wizard.account.create_chart.delete", session)
    exchange = {"credit": _account(rpc, "revenue"), "debit": _account(rpc, "expense")}
    values = {f"currency_exchange_{side}_account": account for side, account in exchange.items()}
    (settings,) = rpc.read("model.account.configuration.search", [], 0, 1, None) or [1]
    rpc.read("model.account.configuration.write", [settings], values)


def _fiscal_year(rpc: Rpc, company: int, year: int) -> None:
    moves, invoices, credits = _sequences(rpc, company, year)
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


def _sequences(rpc: Rpc, company: int, year: int) -> Sequence[int]:
    """Return the sequences of moves, invoices and credit notes; strict, so without a gap."""
    plans = (("Account Move", "", 0), ("Invoice", f"INV-{year}-", 5), ("Invoice", f"CN-{year}-", 5))
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


def _sales(rpc: Rpc) -> None:
    in_30_days = {"type": "remainder", "relativedeltas": [["create", [{"days": 30}]]]}
    _create(rpc, "account.invoice.payment_term", {"name": "Net 30", "lines": [["create", [in_30_days]]]})
    accounts = {f"account_{kind}": _account(rpc, kind) for kind in ("revenue", "expense")}
    category = {"name": "Professional services", "accounting": True}
    (services,) = _create(rpc, "product.category", category | accounts)
    for name, unit in PRODUCTS:
        values = {"name": name, "type": "service", "account_category": services, "list_price": number(Decimal(0))}
        unit_id = _xml_id(rpc, "product", unit)
        _create(rpc, "product.template", values | {"default_uom": unit_id, "products": [["create", [{}]]]})


def _account(rpc: Rpc, kind: str) -> int:
    """Return the first open account of a kind; parents of the chart are closed."""
    domain = [[f"type.{kind}", "=", True], ["closed", "!=", True]]
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
