"""
One small firm in October 2026: four won deals, five people, a price that changes on the 16th, and planted defects.

`expected` is the oracle: it knows the plan below and shares no code with the pipeline.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

PERIOD = "2026-10"
ENTITY = "MER-US"
PRICE_CHANGE = dt.date(2026, 10, 16)
RATES = {  # role -> US dollars an hour, before and from the price change
    "Partner": (Decimal("320"), Decimal("335")),
    "Consultant": (Decimal("180.50"), Decimal("190")),
    "Analyst": (Decimal("120"), Decimal("127.25")),
}
_ROLE_IDS = {"Partner": "1", "Consultant": "2", "Analyst": "3", "Architect": "4"}  # nobody priced the last one
_PEOPLE = [
    ("11", "Ada Osei", "Partner"),
    ("12", "Ben Kaya", "Consultant"),
    ("13", "Chiara Ruiz", "Consultant"),
    ("14", "Dev Rao", "Analyst"),
    ("15", "Eli Novak", None),
]
_ACCOUNTS = [
    ("1", "Northwind Analytics", "Seattle"),
    ("2", "Globex Industrial", "Springfield"),
    ("3", "Initech Software", "Austin"),
    ("4", "Umbra Health", "Boston"),
]
DEALS = [  # number, account, name, legal entity as the CRM writes it
    ("1", "1", "Data platform rollout", "Meridian US"),
    ("2", "2", "ERP integration", "Meridian US"),
    ("3", "3", "Cutover to cloud", "Meridian US"),
    ("4", "4", "Claims portal", "Meridian Benelux"),  # the planted one: nobody mapped this entity
]
_TEAMS = {"1": ["11", "12"], "2": ["13", "14"], "3": ["12", "14"]}  # deal -> people
_MINUTES = [240, 195, 225, 20, 210, 230, 180]  # twenty minutes are no round number of hours


@dataclass(frozen=True, slots=True)
class Entry:
    """One planned time entry. `why_not` says why it must not be billed."""

    number: int
    deal: str | None
    person: str
    role: str | None
    worked_on: dt.date
    minutes: int
    is_billable: bool = True
    is_approved: bool = True
    why_not: str | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """What the pipeline must find."""

    won: int
    active: int
    blocked: int
    loaded: int
    held: int
    charges: int
    invoices: int
    amount: Decimal


def crm_records() -> dict[str, list[dict[str, Any]]]:
    """Return the CRM's accounts, deals and lines, by object."""
    accounts = [
        {
            "Id": _sf("001", number),
            "Name": name,
            "AccountNumber": f"10{number}",
            "BillingCity": city,
            "BillingStreet": f"{number} Main Street",
            "BillingCountry": "US",
            "SystemModstamp": "2026-09-21T08:00:00Z",
        }
        for number, name, city in _ACCOUNTS
    ]
    deals = [_deal(*deal) for deal in DEALS]
    open_deal = _deal("5", "1", "Phase two", "Meridian US") | {
        "StageName": "Negotiation",
        "IsWon": False,
        "IsClosed": False,
    }
    lines = [
        {
            "Id": _sf("00k", number),
            "OpportunityId": _sf("006", number),
            "ProductCode": "CONSULTING",
            "Quantity": 400,
            "UnitPrice": 190,
            "SystemModstamp": "2026-09-28T09:00:00Z",
        }
        for number, *_ in DEALS
    ]
    return {"Account": accounts, "Opportunity": [*deals, open_deal], "OpportunityLineItem": lines}


def _deal(number: str, account: str, name: str, entity: str) -> dict[str, Any]:
    return {
        "Id": _sf("006", number),
        "Name": name,
        "AccountId": _sf("001", account),
        "StageName": "Closed Won",
        "IsWon": True,
        "IsClosed": True,
        "Amount": 76000,
        "CurrencyIsoCode": "USD",
        "Legal_Entity__c": entity,
        "Rate_Card__c": "Standard",
        "Contract_Type__c": "Time and Materials",
        "Start_Date__c": "2026-10-01",
        "End_Date__c": "2026-12-31",
        "SystemModstamp": f"2026-09-28T09:0{number}:00Z",
    }


def psa_records() -> dict[str, list[dict[str, Any]]]:
    """Return the PSA's roles, people and the one rate card with its two versions, by kind."""
    versions = [("1", "2026-01-01"), ("2", PRICE_CHANGE.isoformat())]
    prices = [
        {
            "id": f"{version}{_ROLE_IDS[role]}",
            "rate_card_version_id": f"2{version}",
            "role_id": _ROLE_IDS[role],
            "rate": int(rates[int(version) - 1] * 100),
        }
        for role, rates in RATES.items()
        for version, _ in versions
    ]
    return {
        "roles": [{"id": number, "name": role} for role, number in _ROLE_IDS.items()],
        "users": [{"id": i, "full_name": name, "role_id": _ROLE_IDS.get(role or "")} for i, name, role in _PEOPLE],
        "rate_card_sets": [{"id": "1", "title": "Standard", "rate_card_ids": ["5"]}],
        "rate_card_set_versions": [
            {"id": f"1{v}", "rate_card_set_id": "1", "active": True, "effective_date": day} for v, day in versions
        ],
        "rate_cards": [{"id": "5", "currency": "USD", "rate_card_set_id": "1", "rate_card_version_ids": ["21", "22"]}],
        "rate_card_versions": [
            {"id": f"2{v}", "rate_card_id": "5", "rate_card_set_version_id": f"1{v}", "default_rate": 0}
            for v, _ in versions
        ],
        "rate_card_roles": prices,
    }


def time_records(workspaces: dict[str, str]) -> list[dict[str, Any]]:
    """Return October's time entries as the PSA holds them; `workspaces` is deal number -> its workspace id there."""
    return [
        {
            "id": str(entry.number),
            "updated_at": "2026-10-31T18:00:00Z",
            "workspace_id": workspaces[entry.deal] if entry.deal else "900001",  # an internal project nobody sold
            "user_id": entry.person,
            "role_id": _ROLE_IDS.get(entry.role or ""),
            "date_performed": entry.worked_on.isoformat(),
            "time_in_minutes": entry.minutes,
            "billable": entry.is_billable,
            "approved": entry.is_approved,
            "notes": "",
        }
        for entry in plan()
    ]


def plan() -> list[Entry]:
    """Return October's time entries, the planted ones last."""
    good = list(_regular())
    day, first = dt.date(2026, 10, 7), len(good) + 1
    planted = [
        Entry(first, "1", "12", "Consultant", day, 1560, why_not="held: 26 hours in one day"),
        Entry(first + 1, None, "13", "Consultant", day, 60, why_not="held: on no project of ours"),
        Entry(first + 2, "2", "15", None, day, 60, why_not="held: neither entry nor person has a role"),
        Entry(first + 3, "3", "14", "Architect", day, 60, why_not="no rate for the role"),
        Entry(first + 4, "2", "13", "Consultant", day, 45, is_billable=False, why_not="not billable"),
        Entry(first + 5, "3", "12", "Consultant", day, 90, is_approved=False, why_not="not approved yet"),
        Entry(first + 6, "1", "11", "Partner", dt.date(2026, 11, 2), 60, why_not="next month"),
    ]
    return good + planted


def _regular() -> Iterator[Entry]:
    roles = {number: role for number, _, role in _PEOPLE}
    number = 0
    for offset in range(31):
        day = dt.date(2026, 10, 1) + dt.timedelta(days=offset)
        if day.weekday() > 4:
            continue
        for deal, team in _TEAMS.items():
            for person in team:
                number += 1
                yield Entry(number, deal, person, roles[person], day, _MINUTES[number % len(_MINUTES)])


def expected() -> Expected:
    """Return what must come out, worked out from the plan alone."""
    entries = plan()
    billed = [entry for entry in entries if entry.why_not is None]
    cents = Decimal("0.01")
    amount = sum(
        (
            (RATES[str(e.role)][e.worked_on >= PRICE_CHANGE] * e.minutes / 60).quantize(cents, ROUND_HALF_UP)
            for e in billed
        ),
        Decimal(),
    )
    held = sum((entry.why_not or "").startswith("held") for entry in entries)
    active = sum(entity == "Meridian US" for *_, entity in DEALS)
    return Expected(len(DEALS), active, len(DEALS) - active, len(entries), held, len(billed), active, amount)


def deal_id(number: str) -> str:
    """Return the CRM's 15-character id of a deal."""
    return _sf("006", number)


def _sf(prefix: str, number: str) -> str:
    return f"{prefix}{int(number):012d}"
