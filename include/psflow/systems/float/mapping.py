"""
Float records <-> contracts. Pure; the vendor's words end here.

Skills are tags. Weeks begin on Sunday there and on Monday here. Rates are text without a currency: the account has one.
A repeating booking is one row, and so is one of several people; here each is an assignment of its own. A problem names
fields and never their values, since problems are read by more people than the planner's records are.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

import msgspec
from pydantic import ValidationError

from psflow.contracts import Assignment, CostRate, Resource, WorkPattern
from psflow.errors import NeedsReview
from psflow.systems.ports import PlannedPerson

PLACEHOLDER = 3  # of people_type_id: 1 is an employee, 2 a contractor
TENTATIVE, CONFIRMED = 1, 2
_STATES = {TENTATIVE: False, CONFIRMED: True, 3: True}  # 3 is complete
_DAYS_BETWEEN = {1: 7, 3: 14}  # weekly, fortnightly; 2 is monthly
_ALWAYS = dt.date(1970, 1, 1)  # the planner does not say from when on
_CENT = Decimal("0.01")
_MARK = re.compile(r"\[psx:([^\]]+)\]")

Week = tuple[Decimal, Decimal, Decimal, Decimal, Decimal, Decimal, Decimal]


class Tag(msgspec.Struct):
    """One tag of a person."""

    name: str


class Person(msgspec.Struct):
    """people. An empty map of PHP is an empty list."""

    people_id: int
    name: Annotated[str, msgspec.Meta(min_length=1)]
    people_type_id: Literal[1, 2, 3]
    active: Literal[0, 1]
    email: str | None = None
    tags: list[Tag] = []
    work_days_hours: Week | None = None
    work_days_hours_history: dict[dt.date, Week] | list[None] | None = None
    cost_rate: str | None = None
    notes: str | None = None


class Project(msgspec.Struct):
    """projects."""

    project_id: int
    project_code: str | None = None
    notes: str | None = None
    active: object = 1


class Booking(msgspec.Struct):
    """tasks: a person on a project."""

    task_id: int
    project_id: int
    start_date: dt.date
    end_date: dt.date
    hours: Decimal
    status: int
    people_id: int | None = None
    people_ids: list[int] | None = None
    repeat_state: int | None = 0
    repeat_end_date: dt.date | None = None
    notes: str | None = None
    modified: str | None = None

    @property
    def people(self) -> list[int]:
        """Everybody who is booked."""
        return self.people_ids or ([] if self.people_id is None else [self.people_id])


# -- what we read


def planned_person(person: Person, currency: str) -> PlannedPerson:
    """Return a person with hours and cost; what HR and PSA own is left to them. Raises NeedsReview."""
    ref = str(person.people_id)
    tags = (tag.name.strip() for tag in person.tags)
    resource = Resource(
        resource_id=f"R-{ref}",
        name=person.name,
        is_active=person.active == 1,
        work_email=(person.email or "").strip().lower() or None,
        skills=tuple(dict.fromkeys(tag for tag in tags if tag)),
    )
    return PlannedPerson(resource, _patterns(ref, person), _costs(ref, person.cost_rate, currency))


def _patterns(ref: str, person: Person) -> tuple[WorkPattern, ...]:
    history = person.work_days_hours_history
    weeks = history if history and isinstance(history, dict) else {}
    now = person.work_days_hours
    if now and weeks and now not in weeks.values():
        raise NeedsReview("work_days_hours is not in work_days_hours_history; save the person's hours in Float again")
    if now and not weeks:
        weeks = {_ALWAYS: now}
    try:
        return tuple(
            WorkPattern(resource_ref=ref, valid_from=day, hours=(*week[1:], week[0]))
            for day, week in sorted(weeks.items())
        )
    except ValidationError:
        raise NeedsReview("work_days_hours: a day has 0 to 24 hours, with two decimals; correct them") from None


def _costs(ref: str, rate: str | None, currency: str) -> tuple[CostRate, ...]:
    """Return what an hour costs; one of 0 is one nobody entered: a missing cost is told later, never taken as 0."""
    try:
        cost = Decimal(rate or 0)
        if not cost:
            return ()
        return (CostRate(resource_ref=ref, valid_from=_ALWAYS, hourly_cost=cost, currency=currency),)
    except (InvalidOperation, ValidationError):
        raise NeedsReview("cost_rate is no amount with at most four decimals; correct it in Float") from None


def assignments(booking: Booking, from_day: dt.date, to_day: dt.date, zone: dt.tzinfo = dt.UTC) -> Iterator[Assignment]:
    """
    Yield what a booking is within the window: one assignment a person and repetition. Raises NeedsReview.

    The first keeps the booking's id and our request; `7001.43` is the second person, `7001@2026-11-16` a repetition.
    """
    if booking.status not in _STATES or not booking.people:
        raise NeedsReview("status is none of 1, 2, 3, or nobody is booked; correct the allocation in Float")
    if booking.end_date < booking.start_date:
        raise NeedsReview("end_date is before start_date; correct the allocation in Float")
    for starts, ends in _occurrences(booking, to_day):
        for person in booking.people:
            if starts <= to_day and ends >= from_day:
                yield _assignment(booking, person, starts, ends, zone)


def _assignment(booking: Booking, person: int, starts: dt.date, ends: dt.date, zone: dt.tzinfo) -> Assignment:
    suffix = "" if person == booking.people[0] else f".{person}"
    suffix += "" if starts == booking.start_date else f"@{starts}"
    try:
        return Assignment(
            assignment_id=f"{booking.task_id}{suffix}",
            request_id=None if suffix else request_of(booking.notes),
            resource_ref=str(person),
            project_ref=str(booking.project_id),
            starts_on=starts,
            ends_on=ends,
            hours_per_day=booking.hours.quantize(_CENT),
            is_confirmed=_STATES[booking.status],
            modified_at=_instant(booking.modified, zone),
        )
    except (InvalidOperation, ValidationError):
        raise NeedsReview("hours is not between 0 and 24; correct the allocation in Float") from None


def _occurrences(booking: Booking, to_day: dt.date) -> Iterator[tuple[dt.date, dt.date]]:
    """Yield first and last day of each repetition that starts by then; none lasts beyond repeat_end_date."""
    yield booking.start_date, booking.end_date
    if not booking.repeat_state:
        return
    if booking.repeat_state not in (*_DAYS_BETWEEN, 2):
        raise NeedsReview("repeat_state is none of 0, 1, 2, 3: how it repeats is not known")
    until = min(to_day, booking.repeat_end_date or to_day)
    length, nth = booking.end_date - booking.start_date, 1
    while (starts := _moved(booking.start_date, booking.repeat_state, nth)) <= until:
        yield starts, min(starts + length, booking.repeat_end_date or dt.date.max)
        nth += 1


def _moved(day: dt.date, repeat_state: int, times: int) -> dt.date:
    """Return the nth repetition of a day; the 31st is the last day of a shorter month."""
    if repeat_state in _DAYS_BETWEEN:
        return day + dt.timedelta(days=_DAYS_BETWEEN[repeat_state] * times)
    year, month = divmod(day.year * 12 + day.month - 1 + times, 12)
    return dt.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _instant(stamp: str | None, zone: dt.tzinfo) -> dt.datetime | None:
    try:
        said = dt.datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S") if stamp else None
    except ValueError:
        raise NeedsReview("modified is not YYYY-MM-DD HH:MM:SS") from None
    return said and said.replace(tzinfo=zone).astimezone(dt.UTC)


# -- how what we wrote is known again


def marker(key: str) -> str:
    """Return the words in a record's notes by which an effect is found again."""
    return f"[psx:{key}]"


def marked(notes: str | None) -> list[str]:
    """Return the keys of the effects that made a record."""
    return _MARK.findall(notes or "")


def request_of(notes: str | None) -> str | None:
    """Return the request that an assignment of ours answers: the subject of its effect's key."""
    for key in marked(notes):
        _, _, rest = key.partition(":")
        capability, _, subject = rest.partition(":")
        if capability == "assign_resource" and subject:
            return subject
    return None
