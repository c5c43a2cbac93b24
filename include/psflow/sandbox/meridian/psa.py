"""Meridian's people, prices, hours and expenses as Kantata holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psflow.sandbox.meridian.crm import deal_id
from psflow.sandbox.meridian.deals import BILLING_START
from psflow.sandbox.meridian.people import ROLES, SCARCE, SKILLS, Person
from psflow.sandbox.meridian.plan import Firm, current
from psflow.sandbox.meridian.prices import CARD, CURRENCIES, UNPRICED, VERSIONS
from psflow.sandbox.meridian.story import UNSOLD
from psflow.sandbox.meridian.work import Entry, Expense

Records = dict[str, list[dict[str, Any]]]
Workspaces = Mapping[str, str]  # deal number -> its workspace's id

_ROLE_IDS = {role: str(at) for at, role in enumerate((*ROLES, UNPRICED), start=1)}
_SKILL_IDS = {
    skill: str(at) for at, skill in enumerate(sorted({s for them in SKILLS.values() for s in them} | {SCARCE}), 1)
}
_CARD_SET = "1"


def user_id(person: int) -> str:
    """Return a person's id in the PSA."""
    return f"{2000 + person}"


def psa_records() -> Records:
    """Return roles, skills, people and the one set of rate cards with its versions, by kind."""
    firm = current()
    users = [person for person in firm.people if person.in_psa]
    return {
        "roles": [{"id": number, "name": role} for role, number in _ROLE_IDS.items()],
        "skills": [{"id": number, "name": skill} for skill, number in _SKILL_IDS.items()],
        "users": [_user(person) for person in users],
        "skill_memberships": [
            {"id": f"{person.number}{_SKILL_IDS[skill]:0>2}", "user_id": user_id(person.number),
             "skill_id": _SKILL_IDS[skill], "cached_skill_name": skill}
            for person in users for skill in person.skills
        ],
    } | _rate_cards(firm)  # fmt: skip


def psa_workspaces() -> Records:
    """
    Return the workspaces of deals that were delivered before psflow, with a reference to their opportunity.

    For a firm that wants them adopted; activation makes its own otherwise.
    """
    old = [d for d in current().deals if d.is_won and d.worked_to and d.starts < BILLING_START]
    return {
        "workspaces": [
            {"id": f"{700 + int(d.number)}", "title": d.name, "currency": d.currency, "rate_card_id": _card(d.currency),
             "start_date": d.starts.isoformat(), "due_date": d.ends.isoformat(),
             "external_reference_ids": [f"{800 + int(d.number)}"]}
            for d in old
        ],
        "external_references": [
            {"id": f"{800 + int(d.number)}", "subject_type": "Workspace", "subject_id": f"{700 + int(d.number)}",
             "service_name": "salesforce", "service_model": "Opportunity", "service_model_ref": deal_id(d.number)}
            for d in old
        ],
    }  # fmt: skip


def time_records(workspaces: Workspaces) -> list[dict[str, Any]]:
    """Return all time entries as first logged; `workspaces` is deal number -> its workspace id."""
    return [_time(entry, workspaces) for entry in current().entries]


def corrected_records(workspaces: Workspaces) -> list[dict[str, Any]]:
    """Return the hour that arrives late and the entries edited after their invoice."""
    return [_time(entry, workspaces) for entry in current().corrections]


def expense_records(workspaces: Workspaces) -> Records:
    """Return the expenses and the report by which each was approved or not."""
    firm = current()
    return {
        "expense_report_submissions": [_report(each, workspaces) for each in firm.expenses],
        "expenses": [_expense(firm, each, workspaces) for each in firm.expenses],
    }


def _user(person: Person) -> dict[str, Any]:
    return {
        "id": user_id(person.number),
        "full_name": person.name,
        "email_address": person.email,
        "role_id": _ROLE_IDS.get(person.role or ""),
        "disabled": person.ends is not None,
    }


def _card(currency: str) -> str:
    return f"{5 + CURRENCIES.index(currency)}"


def _rate_cards(firm: Firm) -> Records:
    versions = list(enumerate(VERSIONS, start=1))
    return {
        "rate_card_sets": [{"id": _CARD_SET, "title": CARD, "rate_card_ids": [_card(c) for c in CURRENCIES]}],
        "rate_card_set_versions": [
            {"id": f"1{at}", "rate_card_set_id": _CARD_SET, "active": True, "effective_date": day.isoformat()}
            for at, day in versions
        ],
        "rate_cards": [
            {"id": _card(c), "currency": c, "rate_card_set_id": _CARD_SET,
             "rate_card_version_ids": [f"{_card(c)}{at}" for at, _ in versions]}
            for c in CURRENCIES
        ],
        "rate_card_versions": [
            {"id": f"{_card(c)}{at}", "rate_card_id": _card(c), "rate_card_set_version_id": f"1{at}", "default_rate": 0}
            for c in CURRENCIES for at, _ in versions
        ],
        "rate_card_roles": [
            {"id": f"{_card(c)}{at}{_ROLE_IDS[role]}", "rate_card_version_id": f"{_card(c)}{at}",
             "role_id": _ROLE_IDS[role], "rate": int(firm.prices[c, role, day] * 100)}
            for c in CURRENCIES for at, day in versions for role in ROLES
        ],
    }  # fmt: skip


def _time(entry: Entry, workspaces: Workspaces) -> dict[str, Any]:
    evening = f"{entry.worked_on}T18:00:00Z"
    return {
        "id": str(entry.number),
        "created_at": evening,
        "updated_at": entry.logged_at or evening,
        "workspace_id": workspaces[entry.deal] if entry.deal else UNSOLD,
        "user_id": user_id(entry.person),
        "role_id": _ROLE_IDS.get(entry.role or ""),
        "date_performed": entry.worked_on.isoformat(),
        "time_in_minutes": entry.minutes,
        "billable": entry.is_billable,
        "approved": entry.is_approved,
        "notes": "",
    }


def _expense(firm: Firm, expense: Expense, workspaces: Workspaces) -> dict[str, Any]:
    return {
        "id": str(expense.number),
        "created_at": f"{expense.spent_on}T19:00:00Z",
        "updated_at": f"{expense.spent_on}T19:00:00Z",
        "workspace_id": workspaces[expense.deal],
        "user_id": user_id(expense.person),
        "date": expense.spent_on.isoformat(),
        "category": expense.category,
        "amount_in_cents": int(expense.amount * 100),
        "currency": firm.deal(expense.deal).currency,
        "currency_base_unit": 100,
        "is_billable": expense.is_billable,
        "receipt_id": f"{9000 + expense.number}" if expense.has_receipt else None,
        "active_submission_id": f"{6000 + expense.number}",
        "recent_submission_id": f"{6000 + expense.number}",
        "notes": "",
    }


def _report(expense: Expense, workspaces: Workspaces) -> dict[str, Any]:
    return {
        "id": f"{6000 + expense.number}",
        "created_at": f"{expense.spent_on}T20:00:00Z",
        "updated_at": f"{expense.spent_on}T20:00:00Z",
        "title": expense.category,
        "status": "approved" if expense.is_approved else "pending",
        "workspace_id": workspaces[expense.deal],
        "user_id": user_id(expense.person),
        "expense_ids": [str(expense.number)],
    }
