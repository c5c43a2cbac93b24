"""The firm's records, loaded into each vendor's sandbox and read by its adapter, say what the plan says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest

from psflow import config
from psflow.contracts import VendorProfile
from psflow.sandbox import meridian
from psflow.sandbox.meridian import deals, people
from psflow.systems.bamboohr.client import BambooHR
from psflow.systems.float.client import Float
from psflow.systems.kantata.client import Kantata
from psflow.systems.salesforce.client import Salesforce
from psflow.systems.salesforce.sandbox_query import id18
from psflow.systems.transport import Transport

PROFILE = VendorProfile(lookup="search", deadline_s=5, late_landing_s=1, search_lag_s=0, lease_s=20)
WORKSPACES = {deal.number: f"{700 + int(deal.number)}" for deal in deals.deals()}


@pytest.fixture(autouse=True)
def _default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEED", raising=False)
    monkeypatch.delenv("SIZE", raising=False)


def whole(pages: Iterable[Any]) -> list[Any]:
    """Return all rows; none may be out of shape."""
    found = list(pages)
    assert [bad for page in found for bad in page.bad] == []
    return [row for page in found for row in page.rows]


def test_salesforce_holds_the_deals_with_all_that_the_gates_ask_for(salesforce_sandbox: Any) -> None:
    salesforce_sandbox.load(meridian.crm_records())
    crm = Salesforce(Transport("salesforce", salesforce_sandbox.url, 5), PROFILE, "app", client_secret="swordfish")
    policy, firm = config.load(), meridian.current()
    assert len(whole(crm.customers(None))) == 13
    read = {row.record_id: row.record for row in whole(crm.opportunities(None))}
    for deal in firm.deals:
        found = read[id18(meridian.deal_id(deal.number))]
        entity = policy.entity_by_crm_value.get(found.legal_entity_value)
        assert (entity.legal_entity_id if entity else None) == deal.legal_entity_id
        assert (found.tax_treatment in policy.tax_treatments) == (deal.number != deals.TWO_GATES)
        assert policy.delivery_regions[found.delivery_region] == deals.REGIONS[deal.region]
        assert (found.is_won, found.currency, found.starts_on) == (deal.is_won, deal.currency, deal.starts)
        asked = {(line.role, line.skills, line.hours_per_day, line.starts_on, line.ends_on) for line in found.lines[1:]}
        planned = [each for each in firm.demands if each.deal == deal.number]
        assert asked == {(d.role, d.skills, Decimal(d.hours), d.starts, d.ends) for d in planned}
        assert found.lines[0].role is None


def test_kantata_holds_people_prices_hours_and_expenses(kantata_sandbox: Any) -> None:
    spent = meridian.expense_records(WORKSPACES)
    kantata_sandbox.load(meridian.psa_records() | spent | {"time_entries": meridian.time_records(WORKSPACES)[-3000:]})
    kantata_sandbox.load(meridian.psa_workspaces())
    psa = Kantata(Transport("kantata", kantata_sandbox.url, 5), PROFILE, "swordfish", kantata_sandbox.url)
    firm = meridian.current()
    read = {row.record.work_email: row.record for row in whole(psa.resources())}
    assert {email: (p.role, set(p.skills)) for email, p in read.items()} == {
        p.email: (p.role, set(p.skills)) for p in firm.people if p.in_psa
    }
    prices = {
        (card.record.currency, rate.role, rate.valid_from): rate.hourly_rate
        for card in whole(psa.rate_cards())
        for rate in card.record.rates
    }
    assert prices == firm.prices
    time = {row.time_entry_id: row for row in whole(psa.time_entries(None))}
    for entry in firm.entries[-3000:]:
        found = time[str(entry.number)]
        assert (found.minutes, found.role, found.worked_on) == (entry.minutes, entry.role, entry.worked_on)
        assert (found.is_billable, found.is_approved) == (entry.is_billable, entry.is_approved)
    expenses = {row.expense_entry_id: row for row in whole(psa.expenses(None))}
    for expense in firm.expenses:
        row = expenses[str(expense.number)]
        assert (row.amount, row.currency) == (expense.amount, firm.deal(expense.deal).currency)
        assert (row.is_billable, row.is_approved, row.has_receipt) == (
            expense.is_billable, expense.is_approved, expense.has_receipt,
        )  # fmt: skip


def test_bamboohr_and_float_hold_the_capacity_of_the_plan(bamboohr_sandbox: Any, float_sandbox: Any) -> None:
    bamboohr_sandbox.load(meridian.hr_records())
    float_sandbox.load(meridian.planner_records())
    hr = BambooHR(Transport("bamboohr", bamboohr_sandbox.url, 5), PROFILE, "swordfish")
    transport = Transport("float", float_sandbox.url, 5)
    planner = Float(
        transport, PROFILE, "swordfish", "USD", "ops@meridian.example", app_url="https://meridian.float.com/"
    )
    firm = meridian.current()
    employed = {row.record.work_email: row.record for row in whole(hr.resources())}
    assert {email: (p.region, p.employed_from, p.employed_to) for email, p in employed.items()} == {
        p.email: (p.region, p.starts, p.ends) for p in firm.people
    }
    companies = {row.record_id: [(e.valid_from, e.employer) for e in row.record] for row in whole(hr.employments())}
    ours = {name for entity in config.load().legal_entities for name in entity.hr_values}
    for person in firm.people:
        said = companies[meridian.employee_id(person.number)]
        assert all(person.employer(day) == name and name in ours for day, name in said)
    planned = {row.record.resource.work_email: row.record for row in whole(planner.people())}
    assert planned.keys() == {person.email for person in firm.people if person.in_psa}
    first, last = dt.date(2026, 11, 1), people.PLANNED_TO
    away: dict[tuple[str, dt.date], Decimal] = {}
    for row in whole(hr.absences(first, last)):
        if row.record.is_approved:
            key = row.record.resource_ref, row.record.absent_on
            away[key] = away.get(key, Decimal()) + row.record.hours
    for person in firm.people:
        for day in people.days(first, last) if person.in_psa and person.is_employed(first) else ():
            pattern = [each for each in planned[person.email].patterns if each.valid_from <= day][-1]
            absent = away.get((meridian.employee_id(person.number), day), Decimal())
            assert pattern.hours[day.weekday()] - absent == person.capacity(day)
    assert [row.record for row in whole(planner.assignments(first, last))] == []
