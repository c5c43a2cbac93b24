"""Tax on invoices: once a category and rate on summed nets, mirrored by credits, and never posted while unknown."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

import psycopg
import pytest

from psflow.errors import GateFailed, Rejected
from psflow.flows import billing, billing_plan, billing_posting, reconciliation
from psflow.store.connection import sql
from tests.cases.conftest import config, office
from tests.cases.office import ENTITY, Office
from tests.flows.conftest import PassGate, policy_period

__all__ = ["config", "office"]

START, LAST = dt.date(2026, 5, 1), dt.date(2026, 12, 31)
RATES = ("19", "7", "5.5", "0")  # a week each; without a rate is reverse charge
TIES = {"half_up": ROUND_HALF_UP, "half_even": ROUND_HALF_EVEN}
VAT_ID = "DE811569869"


def weeks(*rates: str) -> list[dict[str, Any]]:
    """A tax a week from START on; 0 is reverse charge."""
    return [
        ({"category": "S", "rate_pct": pct} if pct != "0" else {"category": "AE", "reason_code": "VATEX-EU-AE"})
        | {"valid_from": START + dt.timedelta(7 * n), "valid_to": START + dt.timedelta(7 * n + 6)}
        for n, pct in enumerate(rates)
    ]


def spend(office: Office, project: str, lines: list[tuple[int, Decimal]]) -> None:
    office.contract(project, project)
    office.run("update core.customer set vat_id = %(id)s", id=VAT_ID)
    for number, (week, amount) in enumerate(lines):
        office.spend(f"{project}-{number}", f"P-{project}", START + dt.timedelta(7 * week), amount)


def invoices(office: Office) -> list[dict[str, Any]]:
    return office.store.rows("select * from billing.invoice order by invoice_key")


def checked(office: Office) -> str:
    period = policy_period(f"{LAST:%Y-%m}")
    batch = billing.freeze(office.store, office.config, ENTITY, period, LAST)
    assert batch
    billing.check(office.store, office.config, PassGate(), batch)
    return batch


def approved(office: Office) -> str:
    batch = checked(office)
    shown = str(billing.summary(office.store, batch)["content_hash"])
    for step, user in (("submit", "fiona"), ("approve", "frank")):
        say: Any = {"airflow_user": user, "approved": True, "content_hash": shown, "run_id": "r"}
        billing.decide(office.store, office.config, batch, step, **say)  # type: ignore[arg-type]
    return batch


@pytest.mark.parametrize("tie", TIES)
def test_tax_is_one_rounding_a_category_on_summed_nets_and_a_credit_mirrors_it(office: Office, tie: str) -> None:
    chance = random.Random(tie)
    office.taxed(*weeks(*RATES), rounding=tie)
    books = {f"K{n}": _lines(chance) for n in range(15)}
    for project, lines in books.items():
        spend(office, project, lines)
    office.bill(LAST)
    line_by_line, made = 0, {row["project_code"]: row for row in invoices(office)}
    for project, lines in books.items():
        nets = defaultdict[int, Decimal](Decimal)
        for week, amount in lines:
            nets[week] += amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
        cent = {"exp": Decimal("0.01"), "rounding": TIES[tie]}
        tax = sum((net * Decimal(RATES[week]) / 100).quantize(**cent) for week, net in nets.items())
        by_line = sum(
            (amount.quantize(Decimal("0.01"), ROUND_HALF_UP) * Decimal(RATES[week]) / 100).quantize(**cent)
            for week, amount in lines
        )
        line_by_line += tax != by_line
        found = made[f"P-{project}"]
        assert (found["amount"], found["tax_amount"]) == (sum(nets.values()), tax), project
        assert found["gross_amount"] == found["amount"] + found["tax_amount"]
    assert line_by_line, "the sum of rounded taxes of lines is another number"
    _credited_under_other_rules(office, books)


def _lines(chance: random.Random) -> list[tuple[int, Decimal]]:
    """Some lines with the week they are of; an amount that ends in half a cent rounds before its tax."""
    return [(chance.randrange(4), Decimal(chance.randrange(1, 40000)) / 200) for _ in range(chance.randrange(1, 9))]


def _credited_under_other_rules(office: Office, books: dict[str, Any]) -> None:
    """Every expense is credited whole; by now the company taxes everything at another rate."""
    before = office.store.rows("select * from billing.invoice_tax join billing.invoice using (invoice_key)")
    office.taxed({"category": "S", "rate_pct": "25"})
    for project, lines in books.items():
        for number in range(len(lines)):
            office.adjust("credit", f"expense:{project}-{number}", LAST)
    office.bill(LAST)
    key = ("project_code", "category", "rate_pct", "reason_code")
    credits = {
        tuple(row[name] for name in key): (row["taxable"], row["tax"], row["buyer_vat_id"])
        for row in office.store.rows("select * from billing.invoice_tax join billing.invoice using (invoice_key) "
                                     "where invoice.amount < 0")
    }  # fmt: skip
    mirrored = {tuple(row[n] for n in key): (-row["taxable"], -row["tax"], row["buyer_vat_id"]) for row in before}
    assert credits == mirrored


def test_a_corrected_hour_keeps_its_tax_and_work_of_another_day_takes_that_days(office: Office) -> None:
    office.taxed(*weeks("19", "7"))
    office.contract("K")
    office.rate("R", "100", role="Consultant")
    office.work("1", "P-K", START, "8")
    office.bill(LAST)
    office.taxed(*weeks("25", "7"))
    office.work("1", "P-K", START, "9")
    office.work("2", "P-K", START + dt.timedelta(7), "1")
    office.bill(LAST)
    found = office.store.rows(
        "select kind, charge.time_entry_id as entry, trim_scale(rate_pct) as pct from billing.charge "
        "join billing.tax using (tax_id) order by charge_id"
    )
    assert [(r["entry"], r["kind"], r["pct"]) for r in found] == [
        ("1", "charge", 19), ("1", "reversal", 19), ("1", "charge", 19), ("2", "charge", 7),
    ]  # fmt: skip
    assert [row["tax_amount"] for row in invoices(office)] == [152, 19 + 7]
    assert billing_plan.plan_equals_posted(office.store) == []


@pytest.mark.parametrize(
    ("correct", "field"),
    [
        ("update core.contract set tax_treatment = 'us_services' where contract_id = 'K'", "tax_treatment"),
        ("update core.customer set country = 'FR' where customer_id = 'K'", "country"),
        ("update core.customer set vat_id = 'FR12345678901' where customer_id = 'K'", "vat_id"),
    ],
)
def test_an_invoice_without_a_tax_waits_whole_while_others_go_and_is_posted_once_it_is_corrected(
    office: Office, correct: Any, field: str
) -> None:
    spend(office, "K", [(0, Decimal(100)), (1, Decimal(200))])
    spend(office, "L", [(0, Decimal(300))])
    where = {"countries": ("FR",)}
    office.taxed({"category": "AE", "reason_code": "VATEX-EU-AE"} | where, {"category": "S", "rate_pct": 20})
    if field == "tax_treatment":
        office.run("update core.contract set tax_treatment = null where contract_id = 'K'")
        where = {}
    if field == "vat_id":
        office.run("update core.customer set vat_id = null, country = 'FR' where customer_id = 'K'")
    if field == "country":
        office.taxed({"category": "S", "rate_pct": 20, "countries": ("FR", "DE")})
        office.run("update core.customer set country = case customer_id when 'L' then 'DE' else 'XX' end")
    office.bill(LAST)
    assert [row["project_code"] for row in invoices(office)] == ["P-L"]
    (waits,) = office.store.rows("select * from ops.exceptions where state = 'open'")
    assert (waits["rule"], waits["record_id"], waits["field"]) == ("tax", "P-K", field)
    assert waits["owner_team"] == "finance" and "taxes" in waits["fix"] and waits["amount_at_risk"] == 300
    reasons = office.store.rows("select distinct reason from finance.unbilled_entry where project_code = 'P-K'")
    assert [row["reason"] for row in reasons] == ["held"]
    reconciliation.read_erp(office.store, office.erp)
    assert reconciliation.tie_out(office.store, office.config)["breaks"] == 0
    office.run(correct)
    office.bill(LAST)
    assert [row["project_code"] for row in invoices(office)] == ["P-L", "P-K"]
    assert office.store.value("select count(*) from ops.exceptions where state = 'open'") == 0


def test_work_that_is_not_taxable_waits_while_its_document_would_have_a_tax_beside_it(office: Office) -> None:
    not_taxable = {"category": "O", "reason_code": "VATEX-EU-O"}
    office.taxed(not_taxable | {"valid_to": START + dt.timedelta(6)}, *weeks("19", "7")[1:])
    spend(office, "K", [(0, Decimal(100)), (1, Decimal(200))])
    spend(office, "L", [(1, Decimal(300))])
    batch = office.bill(LAST)
    assert [row["project_code"] for row in invoices(office)] == ["P-L"] and batch
    (waits,) = office.store.rows("select * from ops.exceptions where state = 'open'")
    assert (waits["rule"], waits["record_id"], waits["field"], waits["value"], waits["amount_at_risk"]) == (
        "tax", "P-K", "category", "O (VATEX-EU-O) and S 7 %", 300,
    )  # fmt: skip
    assert waits["owner_team"] == "finance" and "bill the month of one of them first" in waits["message"]
    office.taxed(*weeks("19", "7"))
    office.bill(LAST)
    assert [row["project_code"] for row in invoices(office)] == ["P-L", "P-K"]
    assert office.store.value("select count(*) from ops.exceptions where state = 'open'") == 0


def test_what_approvers_saw_is_stale_once_the_tax_is_another(office: Office) -> None:
    spend(office, "K", [(0, Decimal(100))])
    office.taxed({"category": "S", "rate_pct": "19"})
    batch = approved(office)
    office.taxed({"category": "S", "rate_pct": "20"})
    with pytest.raises(GateFailed, match="stale"):
        billing_posting.release(office.store, office.config, office.erp, batch)


PLANTED = {
    "a cent more": ("taxable, tax, vat_id", "taxable, tax + 0.01, vat_id"),
    "another net": ("taxable, tax, vat_id", "taxable - 1, tax, vat_id"),
    "a category forgotten": ("where batch_id", "where rate_pct > 7 and batch_id"),
    "tax line by line": (
        "taxable, tax, vat_id",
        "taxable, (select sum(billing.tax_on(line.amount, batch_tax.rate_pct, 'USD', batch_tax.rounding)) "
        "from billing.invoice_line line join billing.tax using (tax_id) "
        "where line.invoice_key = invoice.invoice_key and tax.rate_pct = batch_tax.rate_pct), vat_id",
    ),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_taxes_that_do_not_add_up_are_refused_by_the_database_and_nothing_is_sent(
    office: Office, monkeypatch: pytest.MonkeyPatch, bug: str
) -> None:
    office.taxed(*weeks("19", "7"))
    spend(office, "K", [(0, Decimal("3.60")), (0, Decimal("3.60")), (1, Decimal("50.03"))])
    batch, (right, wrong) = approved(office), PLANTED[bug]

    def planted(package: Any, name: Any) -> Any:
        text = sql(package, name)
        return text.replace(right, wrong) if name == "invoice_taxes" else text

    monkeypatch.setattr(billing_posting, "sql", planted)
    with pytest.raises(GateFailed, match="do not add up"):
        billing_posting.release(office.store, office.config, office.erp, batch)
    assert invoices(office) == [] and office.store.value("select count(*) from ops.effect") == 0
    monkeypatch.undo()
    assert billing_posting.release(office.store, office.config, office.erp, batch) == 1


def test_a_tax_that_adds_up_and_is_not_the_one_people_approved_is_refused(office: Office) -> None:
    office.taxed({"category": "S", "rate_pct": "19"})
    spend(office, "K", [(0, Decimal(100))])
    batch = approved(office)
    with psycopg.connect(office.owner_url) as owner:
        owner.execute(
            "create or replace function billing.tax_on(taxable numeric, rate_pct numeric, currency text, "
            "rounding text) returns numeric language sql immutable return round(taxable * rate_pct / 100, 0) + 1"
        )
    with pytest.raises(GateFailed, match=r"people approved a tax of 19\.00"):
        billing_posting.release(office.store, office.config, office.erp, batch)


def test_a_document_whose_tax_the_erp_worked_out_otherwise_is_not_posted(office: Office) -> None:
    office.taxed({"category": "S", "rate_pct": "19"})
    spend(office, "K", [(0, Decimal(100))])
    run = (office.store, office.config, office.erp, approved(office))
    billing_posting.release(*run)
    billing_posting.draft(*run)
    (document,) = office.erp.documents.values()
    document["taxes"][0]["tax"] = "19.01"
    assert billing_posting.read_back(*run)["differ"] == 1
    with pytest.raises(Rejected):
        billing_posting.post(*run)
    told = office.store.rows("select field, value from ops.exceptions where state = 'open' order by field")
    assert [tuple(row.values()) for row in told] == [("tax", "19.01"), ("total", "119.010")]
    document["taxes"][0]["tax"] = "19.00"
    billing_posting.read_back(*run)
    billing_posting.post(*run)
    document["taxes"][0]["tax"] = "19.01"  # a cent in the books is a break
    reconciliation.read_erp(office.store, office.erp)
    assert reconciliation.tie_out(office.store, office.config)["breaks"] == 2
    assert len(billing_plan.plan_equals_posted(office.store)) == 1


def test_the_plan_and_explain_say_net_tax_with_its_reason_and_gross(office: Office) -> None:
    office.taxed(*weeks("19", "0"))
    spend(office, "K", [(0, Decimal(100)), (1, Decimal(50))])
    plan = billing_plan.of(office.store, checked(office))
    (total,), (invoice,) = plan.tables["totals"], plan.tables["invoices"]
    for row in (total, invoice):
        assert [Decimal(row[name]) for name in ("amount", "tax", "gross")] == [150, 19, 169]
    assert [(r["tax_category"], r["tax_pct"], r["taxable"], r["tax"], r["tax_reason"]) for r in plan.tables["tax"]] == [
        ("AE", "0", "50.000", "0.00", "VATEX-EU-AE"), ("S", "19", "100.000", "19.00", None),
    ]  # fmt: skip
