"""
Who takes a request? Role, skills, region and free hours on every working day. Pure: no clock, no I/O.

Requests are served by kickoff, then id. Of the people who fit, the one with the least free hours left over takes it,
so that the wide-open calendars stay for the requests that need them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from psflow.contracts import Resource, ResourceRequest

Free = Mapping[
    tuple[str, dt.date], Decimal
]  # (resource, day) -> hours; a pair that is not there is unknown, so not free


@dataclass(frozen=True, slots=True)
class Match:
    """A request and who takes it."""

    request: ResourceRequest
    resource_id: str


@dataclass(frozen=True, slots=True)
class Unstaffed:
    """A request nobody can take: what it lacks (role, skills, region, capacity, days), and who came nearest."""

    request: ResourceRequest
    lacking: str
    message: str


def match(requests: Iterable[ResourceRequest], people: Iterable[Resource], free: Free) -> list[Match | Unstaffed]:
    """Return one outcome a request; a person who takes one has that much less time for the next."""
    left = dict(free)
    able = [person for person in people if person.is_active]
    return [
        _serve(request, able, left)
        for request in sorted(requests, key=lambda asked: (asked.starts_on, asked.request_id))
    ]


def working_days(starts_on: dt.date, ends_on: dt.date) -> Iterator[dt.date]:
    """Yield Monday to Friday, both ends included."""
    for offset in range((ends_on - starts_on).days + 1):
        day = starts_on + dt.timedelta(days=offset)
        if day.weekday() < 5:
            yield day


def _serve(
    request: ResourceRequest, people: list[Resource], left: dict[tuple[str, dt.date], Decimal]
) -> Match | Unstaffed:
    days = list(working_days(request.starts_on, request.ends_on))
    if not days:
        return Unstaffed(request, "days", f"no working day lies between {request.starts_on} and {request.ends_on}")
    fitting, failed = _fitting(request, people)
    if failed:
        return failed
    with_time = [person for person in fitting if all(_free(left, person, day) >= request.hours_per_day for day in days)]
    if not with_time:
        return _busy(request, fitting, days, left)
    taker = min(with_time, key=lambda person: (sum(_free(left, person, day) for day in days), person.resource_id))
    for day in days:
        left[taker.resource_id, day] -= request.hours_per_day
    return Match(request, taker.resource_id)


def _fitting(request: ResourceRequest, people: list[Resource]) -> tuple[list[Resource], Unstaffed | None]:
    """Narrow by role, skills, region in turn; the step that leaves nobody is the reason."""
    steps = (
        ("role", f"is {request.role}", lambda p: p.role == request.role),
        ("skills", f"has {', '.join(request.skills)}", lambda p: set(request.skills) <= set(p.skills)),
        ("region", f"delivers in {request.region}", lambda p: request.region in (None, p.region)),
    )
    for lacking, words, fits in steps:
        narrowed = [person for person in people if fits(person)]
        if not narrowed:
            return [], Unstaffed(request, lacking, f"of {len(people)} people considered nobody {words}")
        people = narrowed
    return people, None


def _busy(
    request: ResourceRequest, fitting: list[Resource], days: list[dt.date], left: Mapping[tuple[str, dt.date], Decimal]
) -> Unstaffed:
    short = {
        person.resource_id: [day for day in days if _free(left, person, day) < request.hours_per_day]
        for person in fitting
    }
    nearest = min(short, key=lambda resource_id: (len(short[resource_id]), resource_id))
    return Unstaffed(
        request,
        "capacity",
        f"{len(fitting)} {request.role} fit, none has {request.hours_per_day:g} h free on each of {len(days)} days; "
        f"nearest: {nearest}, short on {len(short[nearest])} days from {short[nearest][0]}",
    )


def _free(left: Mapping[tuple[str, dt.date], Decimal], person: Resource, day: dt.date) -> Decimal:
    return left.get((person.resource_id, day), Decimal(0))
