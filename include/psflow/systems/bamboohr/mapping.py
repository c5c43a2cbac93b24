"""
BambooHR records -> contracts. Pure; the vendor's words end here.

A location is the region and a division the employing company, as they stand: psflow.yaml's `delivery_regions` and
`hr_values` of its legal entities point to the words HR uses. A problem names
fields and never their values, since problems are read by more people than HR's records are.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from pydantic import ValidationError

from psflow.contracts import Absence, Employment, Resource
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


class Job(msgspec.Struct):
    """One row of a person's table `jobInfo`; a field the key may not see is left out."""

    date: str
    division: str | msgspec.UnsetType | None = msgspec.UNSET


class Jobs(msgspec.Struct):
    """All rows of one person, in no order."""

    rows: list[Job]


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


def employments(person: str, jobs: Jobs) -> tuple[Employment, ...]:
    """Return who employed a person from which day on. Raises NeedsReview when a day has two answers or none is seen."""
    if any(job.division is msgspec.UNSET for job in jobs.rows):
        raise NeedsReview(
            "the API key may not see division; give its user's access level this field of job information"
        )
    said = {(_started(job), _text(job.division or None)) for job in jobs.rows}
    found = sorted(said, key=lambda row: row[0])
    if twice := [day for (day, _), (after, _) in itertools.pairwise(found) if day == after]:
        raise NeedsReview(f"job information has two divisions from {twice[0]} on; correct one of them in BambooHR")
    return tuple(Employment(resource_ref=person, valid_from=day, employer=division) for day, division in found)


def _started(job: Job) -> dt.date:
    day = _day("date", job.date)
    if day is None:
        raise NeedsReview("a row of job information has no date; enter it in BambooHR")
    return day


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
