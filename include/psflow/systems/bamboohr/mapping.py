"""
BambooHR records -> contracts. Pure; the vendor's words end here.

A location is the region as it stands: psflow.yaml's `delivery_regions` point to the words HR uses. A problem names
fields and never their values, since problems are read by more people than HR's records are.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from pydantic import ValidationError

from psflow.contracts import Absence, Resource
from psflow.errors import NeedsReview

Id = Annotated[str, msgspec.Meta(min_length=1)]
Aware = Annotated[dt.datetime, msgspec.Meta(tz=True)]

FIELDS = (
    "eeid",
    "employeeNumber",
    "firstName",
    "lastName",
    "email",
    "jobInformationLocation",
    "hireDate",
    "terminationDate",
    "status",
)
REQUEST_FIELDS = ("id", "employeeId", "start", "end", "created", "status", "amount", "dates")
STATES = {"approved": True, "requested": False}  # denied, canceled and superceded (their spelling) are no leave
_HOURS_OF_A_DAY = Decimal(8)  # leave kept in days does not say how long a day is
_CENT = Decimal("0.01")


class Person(msgspec.Struct, rename="camel"):
    """One row of the dataset `employee`; what is empty comes as an empty text."""

    eeid: Id
    first_name: Id
    last_name: Id
    status: Literal["Active", "Inactive"]
    employee_number: str | None = None
    email: str | None = None
    job_information_location: str | None = None
    hire_date: str | None = None
    termination_date: str | None = None


class PersonRow(msgspec.Struct):
    """The row around it. A field the key may not see is empty, and named here with the dataset before it."""

    fields: Person
    restricted: list[str] = msgspec.field(name="_restrictedFields", default_factory=list)


class Change(msgspec.Struct, rename="camel"):
    """One entry of /employees/changed."""

    id: Id
    action: Literal["Inserted", "Updated", "Deleted"]
    last_changed: Aware


class State(msgspec.Struct):
    """Where a request stands."""

    status: Literal["approved", "requested", "denied", "canceled", "superceded"]


class Total(msgspec.Struct):
    """What a request takes in all."""

    unit: Literal["hours", "days"]
    amount: Decimal


class Request(msgspec.Struct, rename="camel"):
    """time_off/requests. Amounts are numbers in the specification and texts on the wire; no dates are an empty list."""

    id: int | Id
    employee_id: int | Id
    status: State
    amount: Total
    dates: dict[dt.date, Decimal] | list[None]


def resource(row: PersonRow) -> Resource:
    """Return a person, with everybody who left not active. Raises NeedsReview when a field is hidden or no sense."""
    if row.restricted:
        hidden = ", ".join(sorted(name.removeprefix("employee_") for name in row.restricted))
        raise NeedsReview(f"the API key may not see {hidden}; give its user's access level these fields")
    person = row.fields
    started, ended = _day("hireDate", person.hire_date), _day("terminationDate", person.termination_date)
    if started and ended and ended < started:
        raise NeedsReview("terminationDate is before hireDate; correct one of them in BambooHR")
    return Resource(
        resource_id=f"R-{_text(person.employee_number) or person.eeid}",
        name=f"{person.first_name.strip()} {person.last_name.strip()}",
        is_active=person.status == "Active",
        work_email=(_text(person.email) or "").lower() or None,
        region=_text(person.job_information_location),
        employed_from=started,
        employed_to=ended,
    )


def absences(request: Request, from_day: dt.date, to_day: dt.date) -> Iterator[Absence]:
    """
    Yield the days of a request within the window, hours rounded to the hundredth.

    Raises NeedsReview when any of its days makes no sense, one outside the window too.
    """
    if request.status.status not in STATES:
        return
    if isinstance(request.dates, list):
        raise NeedsReview(f"dates is empty; enter the request {request.id} again in BambooHR")
    factor = _HOURS_OF_A_DAY if request.amount.unit == "days" else Decimal(1)
    days = [_absence(request, day, (amount * factor).quantize(_CENT)) for day, amount in sorted(request.dates.items())]
    yield from (day for day in days if day.hours and from_day <= day.absent_on <= to_day)


def _absence(request: Request, day: dt.date, hours: Decimal) -> Absence:
    try:
        return Absence(
            absence_id=str(request.id),
            resource_ref=str(request.employee_id),
            absent_on=day,
            hours=hours,
            is_approved=STATES[request.status.status],
        )
    except ValidationError:
        raise NeedsReview(f"{day} has {hours} hours; a day has 0 to 24: correct the request in BambooHR") from None


def _text(value: str | None) -> str | None:
    return (value or "").strip() or None


def _day(field: str, value: str | None) -> dt.date | None:
    if not value or value == "0000-00-00":
        return None
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        raise NeedsReview(f"{field} is not YYYY-MM-DD") from None
