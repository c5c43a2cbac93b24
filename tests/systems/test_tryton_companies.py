"""One ERP, two companies of ours: each adapter reads and writes the books of its own, and knows its own currency."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from psflow.errors import ConfigurationError, Rejected
from psflow.sandbox import tryton_seed
from psflow.sandbox.meridian import exchange
from psflow.sandbox.postgres import Server
from psflow.sandbox.tryton import TrytonServer
from psflow.systems.ports import ErpInvoice, FxRate
from psflow.systems.tryton.client import Tryton
from tests.effects import open_effect
from tests.systems.tryton_fixture import adapter

US, EU = (company.name for company in tryton_seed.COMPANIES)
NUMBER = itertools.count(1)
DATE = "2026-10-31"


@pytest.fixture(scope="module")
def us(tryton_server: TrytonServer) -> Tryton:
    return adapter(tryton_server, company=US)


@pytest.fixture(scope="module")
def eu(tryton_server: TrytonServer) -> Tryton:
    return adapter(tryton_server, company=EU)


def effect(capability: str, payload: dict[str, Any]) -> Any:
    key = f"tryton:{capability}:companies-{next(NUMBER)}"
    return open_effect(system="tryton", capability=capability, payload=payload, key=key)


def customer(erp: Tryton) -> str:
    fields = {"customer_id": f"C-companies-{next(NUMBER)}", "name": "Thames Mutual", "street": None, "city": "London"}
    return erp.perform(effect("create_customer", fields | {"country": "GB"}))


def draft(buyer: str, currency: str) -> Any:
    lines = [
        {"line_key": "1", "role": "Partner", "hours": "7.50", "hourly_rate": "180.55", "amount": "1354.13"},
        {"line_key": "2", "role": "Analyst", "hours": "0.333", "hourly_rate": "100", "amount": "33.30"},
    ]
    fields = {"invoice_key": f"I-companies-{next(NUMBER)}", "project_code": "P-1", "customer_ref": buyer}
    return effect("draft_invoice", fields | {"currency": currency, "invoiced_on": DATE, "lines": lines})


def posting(drafted: Any, document: str) -> Any:
    return effect("post_invoice", {"invoice_key": drafted.payload["invoice_key"], "erp_invoice_id": document})


def posted(erp: Tryton, currency: str) -> ErpInvoice:
    drafted = draft(customer(erp), currency)
    erp.perform(posting(drafted, erp.perform(drafted)))
    (found,) = erp.invoices([drafted.payload["invoice_key"]])
    return found


def rates(erp: Tryton, since: dt.date | None = None) -> list[FxRate]:
    return [row.record for page in erp.fx_rates(since) for row in page.rows]


def moved(erp: Tryton, before: dict[str, Any]) -> set[str]:
    return {model for model, newest in erp.newest_write().items() if newest != before[model]}


@pytest.mark.parametrize("currency", ["USD", "EUR", "GBP"])
@pytest.mark.parametrize("company", [US, EU])
def test_each_company_posts_in_every_currency_and_ties_out_in_that_of_the_document(
    tryton_server: TrytonServer, company: str, currency: str
) -> None:
    found = posted(adapter(tryton_server, company=company), currency)
    assert (found.state, found.currency, found.total_amount) == ("posted", currency, Decimal("1387.43"))
    assert found.number is not None
    assert found.number.startswith("INV-EU-2026-" if company == EU else "INV-2026-")
    revenue = {each.erp_line_id: each.credit - each.debit for each in found.ledger if each.account_kind == "revenue"}
    assert {each.erp_line_id: each.amount for each in found.lines} == {
        key: value for key, value in revenue.items() if key
    }
    owed = sum(each.debit - each.credit for each in found.ledger if each.account_kind == "receivable")
    assert owed == Decimal("1387.43")


def test_a_sterling_invoice_stands_in_the_euro_ledger_at_the_rate_of_its_day(
    tryton_server: TrytonServer, eu: Tryton, postgres: Server
) -> None:
    found = posted(eu, "GBP")
    with psycopg.connect(postgres.url(tryton_server.database)) as db:
        query = "select sum(debit), sum(amount_second_currency) from account_move_line where move = %s and debit > 0"
        euro, sterling = db.execute(query, [int(found.erp_move_id or 0)]).fetchone() or (None, None)
    worth = exchange.worth("GBP", "EUR", dt.date.fromisoformat(DATE))
    assert (sterling, abs(euro - sterling * worth) < Decimal("0.02")) == (Decimal("1387.43"), True)


def test_what_one_company_writes_the_other_does_not_see(us: Tryton, eu: Tryton) -> None:
    before = us.newest_write()
    mine = posted(eu, "EUR")
    assert us.invoices([str(mine.reference)]) == []
    assert moved(us, before) == {"party.party"}  # the customer is one for all companies
    assert [each.state for each in eu.invoices([str(mine.reference)])] == ["posted"]


def test_a_document_and_a_project_of_the_other_company_are_not_touched(us: Tryton, eu: Tryton) -> None:
    buyer = customer(eu)
    drafted = draft(buyer, "EUR")
    document = eu.perform(drafted)
    with pytest.raises(Rejected, match="does not carry"):
        us.perform(posting(drafted, document))
    assert us.find(drafted) is None and eu.find(drafted) == document
    fields = {"project_code": "P-1", "name": "Rollout", "customer_ref": buyer, "engagement_id": "E-1", "epoch": 1}
    made = effect("create_project", fields)
    project = eu.perform(made)
    assert us.find(made) is None and eu.find(made) == project
    with pytest.raises(Rejected, match=f"'{US}' has no project {project}"):
        us.perform(effect("close_project", {"erp_project_id": project}))
    assert eu.perform(effect("close_project", {"erp_project_id": project})) == project


def test_one_customer_buys_from_both_companies(us: Tryton, eu: Tryton) -> None:
    buyer = customer(us)
    for erp, currency in ((us, "USD"), (eu, "EUR")):
        drafted = draft(buyer, currency)
        erp.perform(posting(drafted, erp.perform(drafted)))
        assert [each.state for each in erp.invoices([drafted.payload["invoice_key"]])] == ["posted"]


def test_a_session_that_ended_is_renewed_in_the_same_company(
    tryton_server: TrytonServer, eu: Tryton, postgres: Server
) -> None:
    mine = posted(eu, "EUR")
    with psycopg.connect(postgres.url(tryton_server.database), autocommit=True) as db:
        db.execute("delete from ir_session")
    assert [each.reference for each in eu.invoices([str(mine.reference)])] == [mine.reference]
    drafted = draft(customer(eu), "EUR")
    eu.perform(posting(drafted, eu.perform(drafted)))
    (found,) = eu.invoices([drafted.payload["invoice_key"]])
    assert str(found.number).startswith("INV-EU-")


def test_a_company_the_login_is_not_in_is_named(
    tryton_server: TrytonServer, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    erp = adapter(tryton_server, company=EU)
    erp.invoices(["nobody's"])
    erp._rpc.company = None
    monkeypatch.setitem(erp._rpc.context, "companies", [1])
    with pytest.raises(ConfigurationError, match=f"login 'psflow' is not in '{EU}'; add it"):
        erp.invoices(["nobody's"])


def test_exchange_rates_are_worth_in_the_companys_own_currency(us: Tryton, eu: Tryton) -> None:
    for erp, home in ((us, "USD"), (eu, "EUR")):
        found = {(each.from_currency, each.valid_on): each.rate for each in rates(erp, exchange.FIRST)}
        assert {currency for currency, _ in found} == {"USD", "EUR", "GBP"} - {home}
        assert all(each.to_currency == home for each in rates(erp))
        for (currency, day), rate in found.items():
            assert rate == round(exchange.worth(currency, home, day), 8)
        assert len(found) == 2 * 19


def test_exchange_rates_are_read_from_a_day_on_and_carry_when_they_changed(eu: Tryton) -> None:
    since = dt.date(2026, 10, 1)
    assert {each.valid_on for each in rates(eu, since)} == {since, dt.date(2026, 11, 1)}
    assert min(each.valid_on for each in rates(eu)) == dt.date(2020, 1, 1)
    rows = [row for page in eu.fx_rates(None) for row in page.rows]
    assert all(row.modified_at and row.modified_at.tzinfo for row in rows)
    assert len({row.record_id for row in rows}) == len(rows)


@pytest.mark.parametrize("module", [tryton_seed, exchange])
def test_another_dump_is_kept_when_the_books_or_the_rates_change(
    tryton_server: TrytonServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any
) -> None:
    kept = tryton_server._dump
    changed = tmp_path / "changed.py"
    changed.write_text(Path(module.__file__).read_text(encoding="utf-8") + "# more\n", encoding="utf-8")
    monkeypatch.setattr(module, "__file__", str(changed))
    assert kept.exists()
    assert tryton_server._dump != kept


# taxes


def taxed(buyer: str, amounts: list[tuple[Decimal, str]]) -> Any:
    lines = [
        {"line_key": f"{n}", "role": "Partner", "hours": f"{amount / 100:.2f}", "hourly_rate": "100.03"}
        | {"amount": f"{amount}", "erp_tax": tax}
        for n, (amount, tax) in enumerate(amounts)
    ]
    fields = {"invoice_key": f"I-companies-{next(NUMBER)}", "project_code": "P-1", "customer_ref": buyer}
    return effect("draft_invoice", fields | {"currency": "EUR", "invoiced_on": DATE, "lines": lines})


def vat(amounts: list[tuple[Decimal, str]]) -> Decimal:
    net = sum((amount for amount, tax in amounts if tax == "USt 19 %"), Decimal())
    return (net * 19 / 100).quantize(Decimal("0.01"), ROUND_HALF_EVEN)


def test_the_erp_works_out_the_tax_we_do_on_the_sum_of_our_nets_and_mirrors_it(eu: Tryton) -> None:
    chance, buyer = random.Random(19), customer(eu)
    for _ in range(12):
        amounts = [
            (Decimal(chance.randrange(-9000, 20000)) / 100, chance.choice(("USt 19 %", "USt 19 %", "Reverse charge")))
            for _ in range(chance.randrange(1, 7))
        ]
        made = []
        for sign in (1, -1):
            wanted = taxed(buyer, [(sign * amount, tax) for amount, tax in amounts])
            eu.perform(wanted)
            made += eu.invoices([wanted.payload["invoice_key"]])
        net = sum(amount for amount, _ in amounts)
        assert [(d.untaxed_amount, d.tax_amount) for d in made] == [(net, vat(amounts)), (-net, -vat(amounts))], amounts
        assert all(d.total_amount == d.untaxed_amount + d.tax_amount for d in made)


def test_a_posted_tax_is_owed_beside_the_revenue_and_a_line_without_one_has_none(eu: Tryton) -> None:
    wanted = taxed(customer(eu), [(Decimal("100.50"), "USt 19 %"), (Decimal("50.00"), "Reverse charge")])
    eu.perform(posting(wanted, eu.perform(wanted)))
    (found,) = eu.invoices([wanted.payload["invoice_key"]])
    assert (found.state, found.untaxed_amount, found.tax_amount) == ("posted", Decimal("150.50"), Decimal("19.10"))
    sums = {
        kind: sum(e.credit - e.debit for e in found.ledger if e.account_kind == kind) for kind in ("revenue", "other")
    }
    assert sums == {"revenue": Decimal("150.50"), "other": Decimal("19.10")}


def test_a_tax_the_company_does_not_have_is_named(eu: Tryton) -> None:
    with pytest.raises(ConfigurationError, match="the company has no tax 'No sales tax'; add it"):
        eu.perform(taxed(customer(eu), [(Decimal(1), "No sales tax")]))
