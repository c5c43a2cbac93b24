"""Meridian's people, who employs them, and their leave as BambooHR holds them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from psflow.sandbox.meridian.people import FREE_CONSULTANT, Leave, Person, days
from psflow.sandbox.meridian.plan import current

Records = dict[str, list[dict[str, Any]]]

_TAKEN_BACK = "superceded"  # the vendor's spelling


def employee_id(person: int) -> str:
    """Return a person's id in HR, which is their employee number too."""
    return f"{1000 + person}"


def hr_records() -> Records:
    """Return employees, those who left included, their companies by date, and time-off requests in every state."""
    everybody = current().people
    planned = [
        (person, leave, _state(leave)) for person in everybody for leave in person.leave if _hours(person, leave)
    ]
    free = everybody[FREE_CONSULTANT - 1]
    planned += [(free, leave, _TAKEN_BACK) for leave in free.leave[-1:]]  # asked for anew on other days: no leave
    return {
        "employees": [_employee(person) for person in everybody],
        "job_info": [job for person in everybody for job in _jobs(person)],
        "time_off_requests": [_request(at, *each) for at, each in enumerate(planned, start=1)],
    }


def _hours(person: Person, leave: Leave) -> dict[dt.date, int]:
    """Return what a block takes of each working day; none when the person does not work here then."""
    return {day: person.pattern(day) for day in days(leave.first, leave.last) if person.pattern(day)}


def _state(leave: Leave) -> str:
    return "approved" if leave.is_approved else "requested"


def _employee(person: Person) -> dict[str, Any]:
    given, _, family = person.name.partition(" ")
    has_left = person.ends is not None
    return {
        "id": employee_id(person.number),
        "employeeNumber": employee_id(person.number),
        "firstName": given,
        "lastName": family,
        "workEmail": person.email,
        "location": person.region,
        "jobTitle": person.role or "Office Manager",
        "hireDate": person.starts.isoformat(),
        "terminationDate": person.ends.isoformat() if person.ends else "",
        "status": "Inactive" if has_left else "Active",
        "lastChanged": f"{person.ends or person.starts}T08:00:00+00:00",
    }


def _jobs(person: Person) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{employee_id(person.number)}{at}",
            "employeeId": employee_id(person.number),
            "date": day.isoformat(),
            "location": person.region,
            "department": "Delivery",
            "division": person.employer(day),
            "jobTitle": person.role or "Office Manager",
            "reportsTo": "",
        }
        for at, day in enumerate(sorted({person.starts, *(since for since, _ in person.employers)}))
    ]


def _request(number: int, person: Person, leave: Leave, state: str) -> dict[str, Any]:
    hours = _hours(person, leave)
    return {
        "id": str(number),
        "employeeId": employee_id(person.number),
        "name": person.name,
        "start": leave.first.isoformat(),
        "end": leave.last.isoformat(),
        "created": f"{person.starts}",
        "status": {"status": state, "lastChanged": f"{person.starts}", "lastChangedByUserId": "1"},
        "type": {"id": "78", "name": "Vacation", "icon": "palm-trees"},
        "amount": {"unit": "hours", "amount": str(sum(hours.values()))},
        "dates": {day.isoformat(): str(count) for day, count in hours.items()},
    }
