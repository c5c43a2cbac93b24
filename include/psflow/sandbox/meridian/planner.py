"""Meridian's people, their hours, skills and cost as Float holds them, and one placeholder for a sale to come."""

from __future__ import annotations

from typing import Any

from psflow.sandbox.meridian.deals import AGAIN, CUSTOMERS
from psflow.sandbox.meridian.people import Person
from psflow.sandbox.meridian.plan import current

Records = dict[str, list[dict[str, Any]]]

PLACEHOLDER = 3999
PIPELINE = 5001  # the tentative project the placeholder waits for
_COST = {"Partner": 165, "Engagement Manager": 118, "Consultant": 86, "Analyst": 58, "Engineer": 74}
_STAMP = {"created": "2025-04-28 08:00:00", "modified": "2026-09-21 08:00:00"}
_DEPARTMENT = {"department_id": 1, "name": "Delivery"}


def people_id(person: int) -> int:
    """Return a person's id in the planner."""
    return 3000 + person


def cost(person: Person) -> int:
    """Return what an hour of a person costs, in whole dollars."""
    return _COST.get(person.role or "", 40)


def planner_records() -> Records:
    """Return people, clients and what is pencilled in: our projects and allocations come later, leave is kept in HR."""
    planned = [person for person in current().people if person.in_psa]
    return {
        "people": [*(_person(person) for person in planned), _placeholder()],
        "clients": [{"client_id": 4000 + int(each.number), "name": each.name} for each in CUSTOMERS],
        "projects": [_pipeline()],
        "tasks": [_tentative()],
    }


def _person(person: Person) -> dict[str, Any]:
    patterns = {day: _sunday_first(hours) for day, hours in person.patterns}
    return {
        "people_id": people_id(person.number),
        "name": person.name,
        "email": person.email,
        "job_title": person.role or "Consultant in training",
        "department": _DEPARTMENT,
        "tags": [{"type": 1, "name": skill} for skill in person.skills],
        "employee_type": 1 if sum(person.patterns[-1][1]) == 40 else 0,
        "people_type_id": 1,
        "active": 1 if person.ends is None else 0,
        "start_date": person.starts.isoformat(),
        "end_date": person.ends.isoformat() if person.ends else None,
        "work_days_hours": list(patterns.values())[-1],
        "work_days_hours_history": {day.isoformat(): hours for day, hours in patterns.items()},
        "cost_rate": f"{cost(person)}.00",
        "default_hourly_rate": None,
    } | _STAMP


def _sunday_first(hours: tuple[int, ...]) -> list[int]:
    return [hours[-1], *hours[:-1]]


def _placeholder() -> dict[str, Any]:
    return {
        "people_id": PLACEHOLDER,
        "name": "Engineer (phase two)",
        "email": None,
        "job_title": "Engineer",
        "department": _DEPARTMENT,
        "tags": [{"type": 1, "name": "python"}],
        "employee_type": 1,
        "people_type_id": 3,
        "active": 1,
        "start_date": None,
        "end_date": None,
        "work_days_hours": [0, 8, 8, 8, 8, 8, 0],
        "work_days_hours_history": {},
        "cost_rate": None,
        "default_hourly_rate": None,
    } | _STAMP


def _pipeline() -> dict[str, Any]:
    return {
        "project_id": PIPELINE,
        "name": f"{AGAIN.name} · Phase two",
        "project_code": None,
        "client_id": 4000 + 2,
        "status": 1,
        "tentative": 1,
        "active": 1,
        "non_billable": 0,
        "budget_type": 0,
        "start_date": "2027-01-04",
        "end_date": "2027-03-31",
        "notes": "",
        "tags": [],
    } | _STAMP


def _tentative() -> dict[str, Any]:
    return {
        "task_id": 7001,
        "project_id": PIPELINE,
        "phase_id": None,
        "people_id": PLACEHOLDER,
        "people_ids": None,
        "start_date": "2027-01-04",
        "end_date": "2027-01-29",
        "start_time": None,
        "hours": 6.0,
        "name": "Engineer",
        "task_meta_id": None,
        "status": 1,
        "billable": 1,
        "repeat_state": 0,
        "repeat_end_date": None,
        "notes": "",
    } | _STAMP
