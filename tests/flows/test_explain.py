"""From a printed amount back to its entry, price, terms, persons and payload; and why an entry has none."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from decimal import Decimal
from typing import Any

import pytest

from psflow import explain
from psflow.errors import NeedsReview
from psflow.explain import Explained
from psflow.flows import billing_adjustment, reconciliation
from psflow.flows.billing_adjustment import Adjustment
from psflow.store.sight import Sight
from tests.flows.conftest import Firm


def told(firm: Firm, identifier: str, kind: str | None = None) -> Explained:
    found = [f for f in explain.find(firm.store, identifier) if kind in (None, f.kind)]
    assert len(found) == 1, found
    return explain.explain(firm.store, firm.config, found[0])


def everything(of: Explained) -> str:
    return json.dumps(dataclasses.asdict(of), default=str)


@pytest.fixture
def working(firm: Firm) -> Firm:
    firm.start()
    return firm


@pytest.fixture
def billed(working: Firm) -> Firm:
    """One hour and a half, and an expense, on a posted invoice whose document was read."""
    working.log(88, 90)
    working.load_time()
    working.spend(9)
    working.load_expenses()
    working.bill()
    reconciliation.read_erp(working.store, working.erp)
    return working


def test_a_charge_says_hours_times_price_and_everything_it_hangs_on(billed: Firm) -> None:
    charge = told(billed, "88.1")
    assert charge.says == "1.50 h on 2026-10-05 by Ann Lee \N{MULTIPLICATION SIGN} USD 180.50 = USD 270.75"
    assert (charge.amount, charge.currency) == (Decimal("270.750"), "USD")
    why = "; ".join(charge.because)
    assert "Consultant costs USD 180.50 an hour: rate card Standard" in why
    assert "rate card Standard, standard level, by role, valid from 2026-01-01 to 2026-10-15" in why
    assert "contract_line" not in why and "contract line > contract > customer > standard" in why
    assert "bills time and materials" in why and "tax treatment us_services" in why
    assert charge.facts["Submitted"].startswith("fiona (P-101) on ")
    assert charge.facts["Approved"].startswith("frank (P-102) on ")


def test_the_payload_a_charge_names_is_the_one_that_was_received(billed: Firm) -> None:
    facts = told(billed, "88.1").facts
    payload = billed.store.value("select payload from raw.record where kind = 'time_entry' and record_id = '88'")
    assert facts["Payload hash"] == hashlib.sha256(payload.encode()).hexdigest()
    assert facts["Payload"].startswith("kantata time_entry 88, received ")
    assert [r.kind for r in told(billed, "88.1").records] == ["project"]


@pytest.mark.parametrize("name", ["MER-US.2026-10.1.P-1001", "INV-1"])
def test_an_invoice_is_known_by_our_key_and_by_its_number_and_adds_up(billed: Firm, name: str) -> None:
    invoice = told(billed, name)
    assert invoice.amount == Decimal("371.300") == sum(Decimal(line.amount or 0) for line in invoice.parts)
    for line in invoice.parts:
        assert line.amount == sum(Decimal(charge.amount or 0) for charge in line.parts)
    assert "(INV-1 in the ERP) to Acme of 2026-10-31: USD 371.30 without tax, the sum of 2 lines" in invoice.says
    assert "since the deal says “US services”" in "; ".join(invoice.because)
    assert "none on USD 371.30, Not subject to sales tax (VATEX-EU-O)" in "; ".join(invoice.because)
    assert "the ERP worked out USD 0.00 of tax by itself" in "; ".join(invoice.because)
    assert invoice.facts["In the ERP"] == "posted INV-1"


def test_a_line_is_explained_alone(billed: Firm) -> None:
    line = told(billed, "MER-US.2026-10.1.P-1001.1")
    assert line.says == "Consultant: 1.50 h \N{MULTIPLICATION SIGN} USD 180.50 = USD 270.75, the sum of 1 charge"
    assert [charge.key for charge in line.parts] == ["88.1"]


def test_an_entry_that_was_edited_after_its_invoice_tells_its_history(billed: Firm) -> None:
    billed.log(88, 120, updated_at="2026-11-02T00:00:00Z")
    billed.load_time()
    billed.bill()
    entry = told(billed, "88")
    assert entry.says.startswith(
        "Time entry 88, 2.00 h on 2026-10-05 by Ann Lee: billed, USD 361.00 on MER-US.2026-10.2"
    )
    assert [part.key for part in entry.parts] == ["88.1", "88.1.R", "88.2"]
    taken_back = entry.parts[1]
    assert taken_back.says.startswith("Taken back: -1.50 h") and taken_back.amount == Decimal("-270.750")
    assert "the entry changed after it was billed: was hours 1.5; now hours 2" in taken_back.because
    assert "charge 88.1.R took it back" in entry.parts[0].because
    assert "88.1.R USD -270.75 on MER-US.2026-10.2.P-1001" in told(billed, "88.2").facts["History of the entry"]


def test_an_expense_in_another_currency_names_the_rate_and_its_day(working: Firm) -> None:
    with working.store.transaction("test"):
        working.store.run("insert into core.fx_rate values ('EUR', 'USD', '2026-10-01', 1.1, 'ECB')")
    working.spend(9, 10000, currency="EUR")
    working.load_expenses()
    working.bill()
    charge = told(working, "expense:9.1")
    assert charge.says == "Travel on 2026-10-05: EUR 100.00 \N{MULTIPLICATION SIGN} 1.1 = USD 110.00"
    assert "one EUR is 1.1 USD, the rate of 2026-10-01 (ECB), the last by that day" in charge.because


def test_increments_change_what_is_paid_and_not_what_was_worked(working: Firm) -> None:
    with working.store.transaction("test"):
        working.store.run(
            "insert into core.increment (customer_id, valid_from, minutes) "
            "select customer_id, '2026-01-01', 15 from core.customer"
        )
    working.log(1, 50)
    working.load_time()
    working.bill()
    charge = told(working, "1.1")
    assert charge.says.startswith("1.00 h on 2026-10-05")
    said = "0.8333 h were worked; the customer pays in steps of 15 minutes, rounded up, per entry: 1.00 h"
    assert said in charge.because


@pytest.fixture
def capped(working: Firm) -> Firm:
    """A cap of 300 on the contract, and two hours at 180.50."""
    with working.store.transaction("test"):
        working.store.run(
            "insert into billing.cap (cap_id, level, scope_id, limit_amount, currency) "
            "select 'CAP-1', 'contract', contract_id, 300, 'USD' from core.contract"
        )
    working.log(1, 60)
    working.log(2, 60, date_performed="2026-10-06")
    working.load_time()
    working.bill()
    return working


def test_a_cap_says_what_was_used_taken_and_left_out(capped: Firm) -> None:
    why = "; ".join(told(capped, "2.1").because)
    assert "cap CAP-1 on the contract: of USD 300.00, USD 0.00 was used before its batch, which took USD 300.00" in why
    assert "USD 61.00 stayed out" in why
    assert "all of the entry is worth USD 180.50; this charge is USD 119.50 of it" in why
    entry = told(capped, "2", "entry")
    assert "billed in part, USD 119.50" in entry.says
    assert entry.because == ["USD 61.00 is over cap CAP-1 and waits until there is room"]


def test_a_credit_names_who_decided_it_and_why(billed: Firm) -> None:
    entity = billed.config.legal_entity("MER-US")
    day = dt.date(2026, 11, 2)
    decided = Adjustment("credit", "88", Decimal(30), day, "agreed with the customer", "P-101", "P-102")
    billing_adjustment.adjust(billed.store, entity, decided)
    billed.bill("2026-11")
    why = "; ".join(told(billed, "88.1.R").because)
    assert "a credit was decided on 2026-11-02, asked for by fiona, approved by frank: agreed with the customer" in why


NOT_BILLED: dict[str, tuple[dict[str, Any], str]] = {
    "approved, and billed by the next batch": ({}, ""),
    "not approved in the PSA, not billed": ({"approved": False}, ""),
    "not billable": ({"billable": False}, ""),
    "from before 2026-09-01, when psflow began to bill": ({"date_performed": "2026-08-03"}, "it was billed elsewhere"),
}


@pytest.mark.parametrize("state", NOT_BILLED)
def test_an_entry_that_is_not_billed_says_its_state(working: Firm, state: str) -> None:
    fields, why = NOT_BILLED[state]
    working.sync()
    with working.store.transaction("test"):
        working.store.run(
            "insert into core.legal_entity values ('MER-US', 'Meridian', 'USD', '2026-09-01') "
            "on conflict (legal_entity_id) do nothing"
        )
    working.log(5, 60, **fields)
    working.load_time()
    entry = told(working, "5", "entry")
    assert entry.says.endswith(state) and entry.amount is None
    assert entry.because == ([why] if why else [])


def test_an_entry_without_a_price_is_held_and_says_so(working: Firm) -> None:
    working.log(5, role_id="1")
    working.log(6)
    working.load_time()
    working.bill()
    entry = told(working, "5", "entry")
    assert entry.says.endswith("not billed") and entry.amount is None
    assert "held: no price fits its role and day" in entry.because
    assert any("no USD rate for Partner" in why for why in entry.because)


def test_an_entry_in_a_batch_that_waits_names_the_batch(working: Firm) -> None:
    working.log(5)
    working.load_time()
    working.freeze()
    assert "in batch MER-US.2026-10.1 (frozen), which waits for people" in told(working, "5", "entry").says


def test_an_unknown_id_names_what_is_near(billed: Firm) -> None:
    with pytest.raises(NeedsReview, match="nothing billed or to be billed is called .*MER-US.2026-10.1.P-1001"):
        explain.find(billed.store, "MER-US.2026-01.1.P-1001")
    with pytest.raises(NeedsReview, match="ask for an invoice or its number"):
        explain.find(billed.store, "%")


def test_what_is_of_another_legal_entity_is_not_there_nor_near(billed: Firm) -> None:
    foreign = Sight(("MER-EU",))
    with pytest.raises(NeedsReview) as refused:
        explain.find(billed.store, "88.1", foreign)
    assert "near" not in str(refused.value)
    assert explain.find(billed.store, "88.1", Sight(("MER-US",)))


def test_one_id_may_be_several_things(billed: Firm) -> None:
    billed.log(1, 60, date_performed="2026-11-02")
    billed.load_time()
    assert [f.kind for f in explain.find(billed.store, "1")] == ["invoice", "entry"]


def test_everything_said_is_json(billed: Firm) -> None:
    said = json.loads(everything(told(billed, "INV-1")))
    assert said["parts"][0]["parts"][0]["facts"]["Entry"] == "88, version 1"
