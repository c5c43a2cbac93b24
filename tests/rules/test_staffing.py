"""Who takes a request: role, skills, region, free hours on every working day, and nobody twice."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from psflow.contracts import Resource, ResourceRequest
from psflow.rules.staffing import Match, Unstaffed, match, working_days

MONDAY = dt.date(2026, 11, 9)
FRIDAY = dt.date(2026, 11, 13)


def person(number: int, **fields: Any) -> Resource:
    known = {"role": "Consultant", "is_active": True, "region": "EU", "skills": ("sap",)}
    return Resource(resource_id=f"R-{number}", name=f"Person {number}", **(known | fields))


def request(number: int = 1, **fields: Any) -> ResourceRequest:
    asked = {"role": "Consultant", "skills": ("sap",), "region": "EU", "starts_on": MONDAY, "ends_on": FRIDAY}
    known = {"request_id": f"E-1.1.R{number}", "engagement_id": "E-1", "hours_per_day": Decimal(6)}
    return ResourceRequest(**(asked | known | fields))


def free(hours: float, *people: Resource, days: int = 5) -> dict[tuple[str, dt.date], Decimal]:
    return {
        (each.resource_id, MONDAY + dt.timedelta(days=day)): Decimal(str(hours))
        for each in people
        for day in range(days)
    }


def lacking(outcome: Match | Unstaffed) -> tuple[str, str]:
    assert isinstance(outcome, Unstaffed)
    return outcome.lacking, outcome.message


def test_a_person_of_the_role_with_skills_in_the_region_and_time_takes_the_request() -> None:
    ada = person(1)
    assert match([request()], [ada], free(8, ada)) == [Match(request(), "R-1")]


def test_each_reason_why_nobody_fits_is_named() -> None:
    ada = person(1)
    hours = free(8, ada)
    for change, word in (
        ({"role": "Partner"}, "role"),
        ({"skills": ("sap", "kubernetes")}, "skills"),
        ({"region": "UK"}, "region"),
        ({"hours_per_day": Decimal("8.5")}, "capacity"),
        ({"starts_on": dt.date(2026, 11, 14), "ends_on": dt.date(2026, 11, 15)}, "days"),
    ):
        (outcome,) = match([request(**change)], [ada], hours)
        assert lacking(outcome)[0] == word


def test_a_request_without_a_region_goes_anywhere() -> None:
    ada = person(1, region=None)
    assert match([request(region=None)], [ada], free(8, ada)) == [Match(request(region=None), "R-1")]


def test_one_day_of_leave_in_the_middle_says_who_is_nearest_and_from_when_they_are_short() -> None:
    ada, ben = person(1), person(2)
    hours = free(8, ada) | free(2, ben) | {("R-1", MONDAY + dt.timedelta(days=2)): Decimal(0)}
    (outcome,) = match([request()], [ada, ben], hours)
    assert lacking(outcome) == (
        "capacity",
        "2 Consultant fit, none has 6 h free on each of 5 days; nearest: R-1, short on 1 days from 2026-11-11",
    )


def test_unknown_capacity_is_not_free_time() -> None:
    (outcome,) = match([request()], [person(1)], {})
    assert lacking(outcome)[0] == "capacity"


def test_somebody_who_left_is_not_asked() -> None:
    ada = person(1, is_active=False)
    (outcome,) = match([request()], [ada], free(8, ada))
    assert lacking(outcome)[0] == "role"


def test_the_fullest_calendar_that_still_fits_takes_it_then_the_lower_id() -> None:
    ada, ben, chi = person(1), person(2), person(3)
    (outcome,) = match([request()], [ada, ben, chi], free(8, ada) | free(7, ben) | free(7, chi))
    assert outcome == Match(request(), "R-2")


def test_the_earlier_kickoff_is_served_first_and_nobody_is_booked_twice() -> None:
    ada = person(1)
    late, early = request(1, starts_on=MONDAY + dt.timedelta(days=1)), request(2)
    first, second = match([late, early], [ada], free(8, ada))
    assert first == Match(early, "R-1")
    assert lacking(second)[0] == "capacity"


def test_a_request_that_nobody_takes_leaves_all_time_to_the_next() -> None:
    ada = person(1)
    whole_week, short = request(1, hours_per_day=Decimal(9)), request(2, hours_per_day=Decimal(8))
    outcomes = match([whole_week, short], [ada], free(8, ada))
    assert [isinstance(outcome, Match) for outcome in outcomes] == [False, True]


@given(
    asked=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 6), st.integers(1, 8)), max_size=8),
    hours=st.lists(st.integers(0, 8), min_size=1, max_size=4),
    order=st.randoms(use_true_random=False),
)
def test_no_day_of_anybody_is_given_away_twice_and_the_order_of_arrival_does_not_matter(
    asked: list[tuple[int, int, int]], hours: list[int], order: Any
) -> None:
    people = [person(n) for n in range(len(hours))]
    time = {key: value for each, h in zip(people, hours, strict=True) for key, value in free(h, each, days=16).items()}
    requests = [
        request(
            n,
            starts_on=MONDAY + dt.timedelta(days=s),
            ends_on=MONDAY + dt.timedelta(days=s + d),
            hours_per_day=Decimal(h),
        )
        for n, (s, d, h) in enumerate(asked)
    ]
    outcomes = match(requests, people, time)
    shuffled = list(requests)
    order.shuffle(shuffled)
    assert match(shuffled, people, time) == outcomes
    assert len(outcomes) == len(requests)
    for outcome in outcomes:
        if isinstance(outcome, Match):
            for day in working_days(outcome.request.starts_on, outcome.request.ends_on):
                time[outcome.resource_id, day] -= outcome.request.hours_per_day
    assert min(time.values()) >= 0
