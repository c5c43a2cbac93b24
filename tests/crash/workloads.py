"""
What the firm's people do and what its runs are, from a seed: deals, hours, expenses, edits, and the tasks in between.

A stage is what people do first, then tasks that may run again at any time, as Airflow's do: each that ended is not
begun anew, and what it returned is kept.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.flows.conftest import CARDS

DAYS = ("2026-10-05", "2026-10-15", "2026-10-16", "2026-10-30")  # the rate changes on the 16th
RATES = {False: 18050, True: 20000}  # cents an hour before and from that day
STAGES = ("activation", "staffing", "time", "billing", "correction", "compensation", "rewon")


@dataclass
class Entry:
    """Somebody's hours on a deal, as they stand in the PSA now."""

    number: int
    deal: int
    minutes: int
    day: str
    approved: bool = True
    billable: bool = True
    gone: bool = False

    @property
    def bills(self) -> bool:
        """Whether the customer pays for it."""
        return self.approved and self.billable and not self.gone


@dataclass
class Expense:
    """Somebody's expense on a deal."""

    number: int
    deal: int
    cents: int
    approved: bool = True

    @property
    def bills(self) -> bool:
        """Whether the customer pays for it."""
        return self.approved


@dataclass
class Firm:
    """Everything that is true outside of psflow; nothing in here was read from it."""

    seed: int
    deals: list[int] = field(default_factory=list)  # won, and every gate passes
    blocked: list[int] = field(default_factory=list)  # won, and the rate card is unknown
    lost: list[int] = field(default_factory=list)  # won, and the PSA refuses it
    closed: int = 0  # how many projects the ERP has that were given up
    people: list[int] = field(default_factory=list)
    staffed: bool = False
    entries: dict[int, Entry] = field(default_factory=dict)
    expenses: dict[int, Expense] = field(default_factory=dict)
    billed: int = 0  # how many billing runs ended


def found(seed: int) -> Firm:
    """Return the firm of this seed before its first day."""
    dice = random.Random(seed)
    return Firm(
        seed, deals=list(range(1, dice.randint(2, 3))), blocked=[8] if dice.random() < 0.5 else [], people=[7, 9]
    )


@dataclass
class Desk:
    """How people reach the vendors and, as an administrator, the database."""

    ask: Callable[..., Any]
    execute: Callable[[str], Any]

    def load(self, vendor: str, **records: list[dict[str, Any]]) -> None:
        """Somebody enters records by hand."""
        self.ask("load", vendor, records)

    def workspace(self, deal: int) -> str:
        """Return the id of the deal's open project in the PSA."""
        spaces = self.ask("state")["kantata"]["workspaces"]
        return next(str(w["id"]) for w in spaces if w["title"].endswith(f"Rollout {deal}") and not w["archived"])


def begin(firm: Firm, desk: Desk) -> None:
    """Master data, and the deals are won."""
    account = {"Id": "001000000000001", "Name": "Acme", "AccountNumber": "77"}
    desk.load("salesforce", Account=[account], **_won(firm.deals + firm.blocked, firm.blocked))
    users = [
        {"id": str(n), "full_name": f"Ann {n}", "role_id": "2", "email_address": f"ann{n}@meridian.test"}
        for n in firm.people
    ]
    desk.load("kantata", **(CARDS | {"users": users}))
    week = [0, 8, 8, 8, 8, 8, 0]
    person = {"work_days_hours": week, "region_id": 1, "start_date": "2026-01-01"}
    desk.load("float", people=[
        person | {"people_id": n, "name": f"Ann {n}", "email": f"ann{n}@meridian.test"} for n in firm.people
    ])  # fmt: skip


def _won(deals: list[int], blocked: list[int]) -> dict[str, list[dict[str, Any]]]:
    usual = {
        "AccountId": "001000000000001", "StageName": "Closed Won", "IsWon": True, "IsClosed": True, "Amount": 50000,
        "CurrencyIsoCode": "USD", "Legal_Entity__c": "Meridian US", "Rate_Card__c": "Standard",
        "Contract_Type__c": "Time and Materials", "Tax_Treatment__c": "US services",
        "Delivery_Region__c": "North America", "Start_Date__c": "2026-10-01", "End_Date__c": "2026-12-31",
    }  # fmt: skip
    ids = {n: f"006{n:012d}" for n in deals}
    return {
        "Opportunity": [
            usual | {"Id": ids[n], "Name": f"Rollout {n}"} | ({"Rate_Card__c": "None such"} if n in blocked else {})
            for n in deals
        ],
        "OpportunityLineItem": [
            {"Id": f"00k{n:012d}", "OpportunityId": ids[n], "Role__c": "Consultant", "Hours_Per_Day__c": 2,
             "Quantity": 1, "UnitPrice": 50000} for n in deals
        ],
    }  # fmt: skip


def act(stage: str, firm: Firm, desk: Desk) -> None:
    """Do what people do before a stage."""
    _ACTS[stage](firm, desk, random.Random(f"{firm.seed} {stage}"))


def _work(firm: Firm, desk: Desk, dice: random.Random) -> None:
    for deal in firm.deals:
        for _ in range(dice.randint(2, 4)):
            number = len(firm.entries) + 1
            minutes, day = dice.randrange(1, 480), dice.choice(DAYS)
            firm.entries[number] = Entry(number, deal, minutes, day, dice.random() < 0.85, dice.random() < 0.9)
        firm.entries[number] = Entry(number, deal, 60, DAYS[0])  # something to bill for each
        number = len(firm.expenses) + 1
        firm.expenses[number] = Expense(number, deal, dice.randrange(1, 30000), dice.random() < 0.8)
    _enter(firm, desk, list(firm.entries), list(firm.expenses))


def _edit(firm: Firm, desk: Desk, dice: random.Random) -> None:
    """Change an hour that was billed, take another's approval, and add one."""
    for deal in firm.deals:
        mine = [e for e in firm.entries.values() if e.deal == deal and e.bills]
        mine[0].minutes += dice.randint(1, 90)
        if len(mine) > 1 and dice.random() < 0.5:
            mine[1].approved = False
        number = len(firm.entries) + 1
        firm.entries[number] = Entry(number, deal, 600, dice.choice(DAYS))
    _enter(firm, desk, list(firm.entries), [])


def _enter(firm: Firm, desk: Desk, entries: list[int], expenses: list[int]) -> None:
    spaces = {deal: desk.workspace(deal) for deal in firm.deals}
    stamp = {"updated_at": f"2026-11-0{1 + firm.billed}T12:00:00Z", "user_id": "7"}
    told: dict[str, list[dict[str, Any]]] = {"time_entries": [], "expenses": [], "expense_report_submissions": []}
    for entry in map(firm.entries.__getitem__, entries):
        told["time_entries"].append(stamp | {
            "id": str(entry.number), "workspace_id": spaces[entry.deal], "role_id": "2", "date_performed": entry.day,
            "time_in_minutes": entry.minutes, "billable": entry.billable, "approved": entry.approved, "notes": "",
        })  # fmt: skip
    for expense in map(firm.expenses.__getitem__, expenses):
        where = stamp | {"workspace_id": spaces[expense.deal]}
        told["expenses"].append(where | {
            "id": str(expense.number), "date": "2026-10-05", "category": "Travel", "amount_in_cents": expense.cents,
            "currency": "USD", "currency_base_unit": 100, "is_billable": True, "receipt_id": "90",
            "active_submission_id": f"9{expense.number}",
        })  # fmt: skip
        status = "approved" if expense.approved else "rejected"
        report = {"id": f"9{expense.number}", "status": status, "expense_ids": [str(expense.number)]}
        told["expense_report_submissions"].append(where | report)
    desk.load("kantata", **told)


def _lose(firm: Firm, desk: Desk, dice: random.Random) -> None:
    """Win a deal whose project the PSA does not take."""
    deal = 20 + dice.randint(0, 9)
    firm.lost.append(deal)
    firm.closed += 1
    desk.ask("refuse", f"Rollout {deal}")
    desk.load("salesforce", **_won([deal], []))


def _win_again(firm: Firm, desk: Desk, dice: random.Random) -> None:
    """Take away what the PSA refused the deal for."""
    firm.deals += firm.lost
    firm.lost = []
    desk.ask("refuse", "")


def _free(firm: Firm, desk: Desk, dice: random.Random) -> None:
    """Ask for people anywhere: there is no HR system that says where they live."""
    desk.execute("update core.resource_request set region = null")


_ACTS: dict[str, Callable[[Firm, Desk, random.Random], None]] = {
    "activation": lambda firm, desk, dice: begin(firm, desk),
    "staffing": _free,
    "time": _work,
    "billing": lambda firm, desk, dice: None,
    "correction": _edit,
    "compensation": _lose,
    "rewon": _win_again,
}


def ended(stage: str, firm: Firm) -> None:
    """Note what is true once the stage's runs are over."""
    firm.staffed |= stage == "staffing"
    firm.billed += stage in ("billing", "correction")
