"""Float as our planner, over HTTP against its sandbox."""

from __future__ import annotations

import datetime as dt
import json
import time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests

from psflow.contracts import VendorProfile
from psflow.errors import ConfigurationError, NeedsReview, Rejected, TransientError, UncertainOutcome
from psflow.systems import transport
from psflow.systems.float import REGISTRATION
from psflow.systems.float.client import Float
from psflow.systems.transport import Transport
from tests.effects import open_effect

PROFILE = VendorProfile(lookup="search", deadline_s=2, late_landing_s=1, search_lag_s=0.5, lease_s=10)
NOVEMBER = (dt.date(2026, 11, 1), dt.date(2026, 11, 30))
AGENT = {"User-Agent": "psflow (ops@meridian.example)", "Authorization": "Bearer swordfish"}
ASKED = {
    "request_id": "E-1.1.R1", "project_code": "P-1", "planner_project_id": "310", "role": "Consultant",
    "skills": ["python", "sql"], "region": "EU", "starts_on": "2026-11-09", "ends_on": "2026-11-20",
    "hours_per_day": "6.50",
}  # fmt: skip


def person(number: int, **fields: Any) -> dict[str, Any]:
    return {"people_id": number, "name": f"Person {number}", "email": f"p{number}@meridian.example"} | fields


def task(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "task_id": number, "project_id": 310, "people_id": 42, "start_date": "2026-11-09", "end_date": "2026-11-20",
        "hours": 6.0, "status": 2, "notes": "by hand", "modified": "2026-11-02 10:11:12",
    } | fields  # fmt: skip


def client(sandbox: Any, deadline_s: float = 1, token: str = "swordfish") -> Float:
    transport = Transport("float", sandbox.url, deadline_s)
    return Float(transport, PROFILE, token, "EUR", "ops@meridian.example", app_url="https://meridian.float.com/")


@pytest.fixture
def planner(float_sandbox: Any) -> Float:
    float_sandbox.load({"people": [person(42)], "projects": [{"project_id": 310, "name": "Rollout"}]})
    return client(float_sandbox)


def effect(capability: str, subject: str = "E-1.1.R1", **payload: Any) -> Any:
    key = f"float:{capability}:{subject}"
    return open_effect(key=key, system="float", capability=capability, payload=ASKED | payload)


def create(code: str = "P-1") -> Any:
    return effect("create_project", code, project_code=code, name="Acme rollout")


def assign(subject: str = "E-1.1.R1", **payload: Any) -> Any:
    return effect("assign_resource", subject, **{"planner_person_id": "42"} | payload)


def release(task_id: str, ends_on: dt.date | str) -> Any:
    return effect("release_resource", task_id, planner_assignment_id=task_id, ends_on=str(ends_on))


def people(planner: Float) -> list[Any]:
    return [row.record for page in planner.people() for row in page.rows]


def booked(planner: Float, window: tuple[dt.date, dt.date] = NOVEMBER) -> list[Any]:
    return [row.record for page in planner.assignments(*window) for row in page.rows]


def get(sandbox: Any, path: str, **query: Any) -> requests.Response:
    return requests.get(f"{sandbox.url}/v3/{path}", params=query, headers=AGENT, timeout=5)


def all_people(sandbox: Any) -> list[Any]:
    return [row for active in (1, 0) for row in get(sandbox, "people", active=active).json()]


# -- people


def test_a_person_comes_with_skills_hours_and_cost(float_sandbox: Any, planner: Float) -> None:
    ann = person(
        7, name="Ann Lee", email="Ann.Lee@Meridian.example", cost_rate="45.50",
        tags=[{"type": 1, "name": "python"}, {"type": 1, "name": " sql "}, {"type": 1, "name": "python"}],
        work_days_hours=[0, 8, 8, 8, 8, 7.5, 1],
    )  # fmt: skip
    float_sandbox.load({"people": [ann]})
    planned = {p.resource.resource_id: p for p in people(planner)}["R-7"]
    assert (planned.resource.name, planned.resource.work_email) == ("Ann Lee", "ann.lee@meridian.example")
    assert (planned.resource.skills, planned.resource.is_active) == (("python", "sql"), True)
    (pattern,) = planned.patterns
    assert [str(hours) for hours in pattern.hours] == ["8", "8", "8", "8", "7.5", "1", "0"]  # Monday first
    (cost,) = planned.costs
    assert (cost.resource_ref, cost.hourly_cost, cost.currency) == ("7", Decimal("45.50"), "EUR")


def test_working_hours_are_dated_by_their_history(float_sandbox: Any, planner: Float) -> None:
    full, part = [0, 8, 8, 8, 8, 8, 0], [0, 8, 8, 8, 0, 0, 0]
    history = {"2026-07-01": part, "2024-01-01": full}
    float_sandbox.load({"people": [person(42, work_days_hours=part, work_days_hours_history=history)]})
    ((planned,)) = people(planner)
    assert [(p.valid_from, sum(p.hours)) for p in planned.patterns] == [
        (dt.date(2024, 1, 1), 40),
        (dt.date(2026, 7, 1), 24),
    ]


def test_placeholders_are_no_people_and_archived_people_are_not_active(float_sandbox: Any, planner: Float) -> None:
    float_sandbox.load({"people": [person(43, people_type_id=3), person(44, active=0), person(45, people_type_id=2)]})
    assert {p.resource.resource_id: p.resource.is_active for p in people(planner)} == {
        "R-42": True, "R-44": False, "R-45": True,
    }  # fmt: skip


def test_a_rate_nobody_entered_is_missing_and_not_zero(float_sandbox: Any, planner: Float) -> None:
    float_sandbox.load({"people": [person(42, cost_rate="0.00"), person(43, cost_rate=None)]})
    assert [planned.costs for planned in people(planner)] == [(), ()]


def test_a_person_out_of_shape_is_set_aside_without_their_values(float_sandbox: Any, planner: Float) -> None:
    wrong = [
        person(1, cost_rate=45.5),  # rates are text
        person(2, cost_rate="a lot"),
        person(3, name="Secret Name", work_days_hours=[0, 8, 8, 8, 8, 8]),
        person(4, work_days_hours=[0, 25, 8, 8, 8, 8, 0]),
        person(5, work_days_hours=[0, 4, 4, 4, 4, 4, 0], work_days_hours_history={"2024-01-01": [0, 8, 8, 8, 8, 8, 0]}),
        person(6, tags=[{"type": 1, "name": "x" * 201}]),
    ]
    float_sandbox.load({"people": wrong})
    page, _archived = planner.people()
    assert [row.record_id for row in page.rows] == ["42"]
    problems = {bad.record_id: bad.problem for bad in page.bad}
    fields = ["cost_rate", "cost_rate", "work_days_hours", "work_days_hours", "work_days_hours_history", "skills"]
    assert len(problems) == 6 and all(f in problems[str(n)] for n, f in enumerate(fields, start=1)), problems
    assert "Secret" not in " ".join(problems.values()) and "xxx" not in problems["6"]


# -- allocations


def test_an_allocation_is_an_assignment_with_the_planners_ids(float_sandbox: Any, planner: Float) -> None:
    float_sandbox.load({"tasks": [task(7001, hours=6.25), task(7002, status=1)]})
    first, second = booked(planner)
    assert (first.assignment_id, first.resource_ref, first.project_ref) == ("7001", "42", "310")
    assert (first.starts_on, first.ends_on) == (dt.date(2026, 11, 9), dt.date(2026, 11, 20))
    assert (first.hours_per_day, first.request_id, first.is_confirmed) == (Decimal("6.25"), None, True)
    assert first.modified_at == dt.datetime(2026, 11, 2, 10, 11, 12, tzinfo=dt.UTC)
    assert not second.is_confirmed


def test_a_change_happened_when_the_accounts_clock_says_in_summer_and_in_winter(
    float_sandbox: Any, planner: Float
) -> None:
    float_sandbox.load({"tasks": [task(1), task(2, modified="2026-07-02 10:11:12")]})
    planner.zone = ZoneInfo("Europe/Berlin")
    winter, summer = (each.modified_at for each in booked(planner))
    assert winter == dt.datetime(2026, 11, 2, 9, 11, 12, tzinfo=dt.UTC)
    assert summer == dt.datetime(2026, 7, 2, 8, 11, 12, tzinfo=dt.UTC)


def test_a_repeating_allocation_is_one_row_there_and_one_assignment_a_time_here(
    float_sandbox: Any, planner: Float
) -> None:
    weekly = task(1, start_date="2026-11-02", end_date="2026-11-03", repeat_state=1, repeat_end_date="2026-11-16")
    fortnightly = task(2, start_date="2026-11-02", end_date="2026-11-02", repeat_state=3)
    monthly = task(3, start_date="2026-08-31", end_date="2026-08-31", repeat_state=2)
    float_sandbox.load({"tasks": [weekly, fortnightly, monthly]})
    assert get(float_sandbox, "tasks").json()[0]["repeat_state"] == 1 and len(get(float_sandbox, "tasks").json()) == 3
    found = [(a.assignment_id, f"{a.starts_on:%m-%d}", f"{a.ends_on:%m-%d}") for a in booked(planner)]
    assert found == [
        ("1", "11-02", "11-03"),
        ("1@2026-11-09", "11-09", "11-10"),
        ("1@2026-11-16", "11-16", "11-16"),  # the repetition ends in the middle
        ("2", "11-02", "11-02"),
        ("2@2026-11-16", "11-16", "11-16"),
        ("2@2026-11-30", "11-30", "11-30"),
        ("3@2026-11-30", "11-30", "11-30"),  # November has no 31st
    ]


def test_a_repetition_that_began_before_the_window_is_in_it(float_sandbox: Any, planner: Float) -> None:
    old = task(1, start_date="2024-01-01", end_date="2024-01-01", repeat_state=1, repeat_end_date="2026-11-03")
    float_sandbox.load({"tasks": [old]})
    assert get(float_sandbox, "tasks", start_date="2026-11-01", end_date="2026-11-30").json() == []
    assert [a.assignment_id for a in booked(planner)] == ["1@2026-11-02"]


def test_an_allocation_of_several_people_is_one_assignment_each(float_sandbox: Any, planner: Float) -> None:
    float_sandbox.load({"people": [person(43)], "tasks": [task(1, people_id=None, people_ids=[42, 43])]})
    assert [(a.assignment_id, a.resource_ref) for a in booked(planner)] == [("1", "42"), ("1.43", "43")]


def test_what_lies_outside_the_window_is_left_out(float_sandbox: Any, planner: Float) -> None:
    before = task(1, start_date="2026-10-01", end_date="2026-10-31")
    touching = task(2, start_date="2026-10-01", end_date="2026-11-01")
    after = task(3, start_date="2026-12-01", end_date="2026-12-02")
    float_sandbox.load({"tasks": [before, touching, after]})
    assert [a.assignment_id for a in booked(planner)] == ["2"]


def test_an_allocation_out_of_shape_is_set_aside_and_the_rest_goes_on(float_sandbox: Any, planner: Float) -> None:
    wrong = [task(2, hours="much"), task(3, status=9), task(4, repeat_state=7), task(5, hours=25), task(6, hours=1e30)]
    wrong += [task(7, modified="2026-11-02T10:11:12Z"), task(8, people_id=None)]
    float_sandbox.load({"tasks": [task(1), *wrong]})
    (page,) = planner.assignments(*NOVEMBER)
    assert [row.record_id for row in page.rows] == ["1"]
    assert [bad.record_id for bad in page.bad] == ["2", "3", "4", "5", "6", "7", "8"]
    assert json.loads(page.bad[0].payload)["hours"] == "much"


def test_what_was_deleted_leaves_no_trace_and_is_missing_from_the_window(float_sandbox: Any, planner: Float) -> None:
    float_sandbox.load({"tasks": [task(1), task(2)]})
    requests.delete(f"{float_sandbox.url}/v3/tasks/1", headers=AGENT, timeout=5).raise_for_status()
    assert [a.assignment_id for a in booked(planner)] == ["2"]
    assert get(float_sandbox, "tasks/1").status_code == 404


# -- pages


@pytest.mark.parametrize("headers", [True, False])
@pytest.mark.parametrize("count", [1, 199, 201, 401])
def test_every_number_of_rows_is_read_once(float_sandbox: Any, planner: Float, count: int, headers: bool) -> None:
    float_sandbox.load({"tasks": [task(n) for n in range(1, count + 1)]}, pagination_headers=headers)
    assert [a.assignment_id for a in booked(planner)] == [str(n) for n in range(1, count + 1)]
    assert booked(planner) == booked(planner)


def test_a_full_last_page_ends_where_the_headers_say_so(float_sandbox: Any, planner: Float) -> None:
    float_sandbox.load({"tasks": [task(n) for n in range(1, 401)]})
    assert len(booked(planner)) == 400
    float_sandbox.load(pagination_headers=False)  # the page behind the last is the last once more
    with pytest.raises(TransientError, match="page 3 of tasks brings nothing new"):
        booked(planner)


def test_a_row_deleted_while_we_read_hides_no_other(float_sandbox: Any, planner: Float) -> None:
    float_sandbox.load({"tasks": [task(n) for n in range(1, 402)]})
    reading = planner.assignments(*NOVEMBER)
    next(reading)
    requests.delete(f"{float_sandbox.url}/v3/tasks/5", headers=AGENT, timeout=5)  # 201 moves to page one
    with pytest.raises(TransientError, match="changed while they were read"):
        list(reading)


def test_more_than_200_a_page_are_not_to_be_had(float_sandbox: Any, planner: Float) -> None:
    float_sandbox.load({"tasks": [task(n) for n in range(1, 301)]})
    page = get(float_sandbox, "tasks", **{"per-page": 500})
    assert len(page.json()) == 200 and isinstance(page.json(), list)
    counts = {name: page.headers[f"X-Pagination-{name}"] for name in ("Total-Count", "Page-Count", "Per-Page")}
    assert counts == {"Total-Count": "300", "Page-Count": "2", "Per-Page": "200"}
    assert len(get(float_sandbox, "tasks").json()) == 50


# -- what the vendor refuses


@pytest.mark.parametrize("agent", [None, "", "psflow"])
def test_a_caller_who_does_not_say_who_they_are_is_refused(float_sandbox: Any, agent: str | None) -> None:
    headers = {"Authorization": "Bearer swordfish", "User-Agent": agent}
    answer = requests.get(f"{float_sandbox.url}/v3/people", headers=headers, timeout=5)
    assert (answer.status_code, "User-Agent" in answer.json()["message"]) == (400, True)


def test_modified_since_is_text_with_a_blank(float_sandbox: Any, planner: Float) -> None:
    float_sandbox.load({"tasks": [task(1), task(2, modified="2026-11-05 00:00:00")]})
    late = get(float_sandbox, "tasks", modified_since="2026-11-03 00:00:00").json()
    assert [row["task_id"] for row in late] == [2]
    assert get(float_sandbox, "tasks", modified_since="2026-11-03T00:00:00Z").status_code == 400


def test_logged_time_has_ids_of_text(float_sandbox: Any, planner: Float) -> None:
    entry = {"people_id": 42, "project_id": 310, "date": "2026-11-03", "hours": 7.5}
    made = requests.post(f"{float_sandbox.url}/v3/logged-time", json=entry, headers=AGENT, timeout=5).json()
    assert get(float_sandbox, "logged-time").json()[0]["logged_time_id"] == made["logged_time_id"]
    assert isinstance(made["logged_time_id"], str) and int(made["logged_time_id"], 16)


def test_put_changes_a_part_too(float_sandbox: Any, planner: Float) -> None:
    changed = requests.put(f"{float_sandbox.url}/v3/people/42", json={"active": 0}, headers=AGENT, timeout=5)
    assert (changed.json()["active"], changed.json()["name"]) == (0, "Person 42")


def test_a_refusal_of_several_fields_carries_the_vendors_messages(float_sandbox: Any, planner: Float) -> None:
    with pytest.raises(Rejected, match="People Id is invalid.; Hours must be a number.") as caught:
        planner.perform(assign(planner_person_id="99", hours_per_day="0"))
    assert caught.value.code == "422"
    bare = requests.post(f"{float_sandbox.url}/v3/tasks", json={}, headers=AGENT, timeout=5)
    assert bare.json()[0] == {"field": "project_id", "message": "Project Id cannot be blank."}


def test_a_project_code_that_is_too_long_is_refused(planner: Float) -> None:
    with pytest.raises(Rejected, match="at most 32 characters"):
        planner.perform(create("P" * 33))


def test_a_read_waits_out_the_limit_of_the_minute(
    float_sandbox: Any, planner: Float, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(transport.time, "sleep", slept.append)
    float_sandbox.load({"tasks": [task(n) for n in range(1, 202)]})
    float_sandbox.arm("GET /v3/tasks", "throttle", 2)
    assert len(booked(planner)) == 201
    assert [int(pause) for pause in slept] == [1, 2]
    float_sandbox.arm("GET /v3/tasks", "throttle", 9)
    with pytest.raises(TransientError, match="429"):
        booked(planner)


@pytest.mark.parametrize(
    ("fault", "error", "made"),
    [("throttle", TransientError, 0), ("e503_before", UncertainOutcome, 0), ("e500_after", UncertainOutcome, 1)],
)
def test_a_broken_answer_says_what_may_happen_next(
    float_sandbox: Any, planner: Float, fault: str, error: type[Exception], made: int
) -> None:
    float_sandbox.arm("POST /v3/tasks", fault)
    with pytest.raises(error):
        planner.perform(assign())
    assert float_sandbox.state()["records"].get("tasks", 0) == made


def test_secrets_never_reach_an_error_message(float_sandbox: Any) -> None:
    planner = client(float_sandbox, token="hunter2")
    with pytest.raises(TransientError, match="401") as caught:
        people(planner)
    assert "hunter2" not in f"{caught.value!r} {planner!r}"


# -- what we write


def test_a_project_is_made_once_and_found_by_its_code(float_sandbox: Any, planner: Float) -> None:
    assert planner.find(create()) is None
    made = planner.perform(create())
    assert planner.perform(create()) == planner.find(create()) == made
    assert planner.find(create("P-2")) is None and planner.find(create("P-")) is None
    assert get(float_sandbox, f"projects/{made}").json()["project_code"] == "P-1"
    assert float_sandbox.state()["writes"] == 1


def test_a_project_somebody_archived_is_found_and_two_of_one_code_need_a_person(
    float_sandbox: Any, planner: Float
) -> None:
    float_sandbox.load({"projects": [{"project_id": 7, "name": "Old", "project_code": "P-1", "active": 0}]})
    assert planner.find(create()) == "7"
    float_sandbox.load({"projects": [{"project_id": 8, "name": "Twin", "project_code": "P-1"}]})
    with pytest.raises(NeedsReview, match="projects 7, 8 all carry P-1"):
        planner.find(create())


def test_a_request_is_a_placeholder_with_a_tentative_allocation(float_sandbox: Any, planner: Float) -> None:
    ask = effect("request_resource")
    made = planner.perform(ask)
    assert planner.find(ask) == planner.perform(ask) == made
    row = get(float_sandbox, f"tasks/{made}").json()
    assert (row["status"], row["hours"], row["start_date"], row["end_date"]) == (1, 6.5, "2026-11-09", "2026-11-20")
    assert "[psx:float:request_resource:E-1.1.R1]" in row["notes"]
    stand_in = get(float_sandbox, f"people/{row['people_id']}").json()
    assert (stand_in["people_type_id"], stand_in["job_title"]) == (3, "Consultant")
    assert [tag["name"] for tag in stand_in["tags"]] == ["python", "sql"] and "EU" in stand_in["notes"]
    assert float_sandbox.state()["writes"] == 2
    assert booked(planner) == [] and len(people(planner)) == 1  # demand is no assignment, a placeholder no person


def test_an_assignment_is_confirmed_and_names_the_request_it_answers(float_sandbox: Any, planner: Float) -> None:
    made = planner.perform(assign())
    assert planner.find(assign()) == planner.perform(assign()) == made
    (assignment,) = booked(planner)
    assert (assignment.assignment_id, assignment.request_id, assignment.is_confirmed) == (made, "E-1.1.R1", True)
    assert (assignment.resource_ref, assignment.hours_per_day) == ("42", Decimal("6.50"))
    assert planner.find(assign("E-1.1.R10")) is None and planner.find(assign("E-1.1.R")) is None


def test_only_the_first_time_of_an_assignment_answers_its_request(float_sandbox: Any, planner: Float) -> None:
    ours = {"notes": "[psx:float:assign_resource:E-1.1.R1]", "start_date": "2026-11-02", "end_date": "2026-11-02"}
    several = {"people_id": None, "people_ids": [42, 43], "repeat_state": 1, "repeat_end_date": "2026-11-09"}
    float_sandbox.load({"people": [person(43)], "tasks": [task(1, **ours, **several)]})
    assert [(a.assignment_id, a.request_id) for a in booked(planner)] == [
        ("1", "E-1.1.R1"),
        ("1.43", None),
        ("1@2026-11-09", None),
        ("1.43@2026-11-09", None),
    ]


def test_an_assignment_moved_by_hand_is_still_found(float_sandbox: Any, planner: Float) -> None:
    made = planner.perform(assign())
    float_sandbox.load({"people": [person(43)]})
    moved = {"people_id": 43, "start_date": "2026-12-01", "end_date": "2026-12-02"}
    requests.patch(f"{float_sandbox.url}/v3/tasks/{made}", json=moved, headers=AGENT, timeout=5).raise_for_status()
    assert planner.find(assign()) == made


@pytest.mark.parametrize("fault", ["timeout_after_commit", "slow_index", "late_landing"])
@pytest.mark.parametrize("what", ["projects", "tasks", "people"])
def test_a_write_whose_answer_was_lost_is_found_again_and_not_doubled(
    float_sandbox: Any, planner: Float, fault: str, what: str
) -> None:
    write = {"projects": create(), "tasks": assign(), "people": effect("request_resource")}[what]
    before = float_sandbox.state()["records"].get(what, 0)
    float_sandbox.load(index_s=0.3, late_s=1.4)
    float_sandbox.arm(f"POST /v3/{what}", fault)
    with pytest.raises(UncertainOutcome):
        planner.perform(write)
    time.sleep(1)  # as long as the profile says it may take to land and to be seen
    made = planner.find(write) or planner.perform(write)
    assert planner.find(write) == made
    assert float_sandbox.state()["records"][what] == before + 1


def test_a_new_record_is_invisible_for_the_search_lag(float_sandbox: Any, planner: Float) -> None:
    float_sandbox.load(search_lag_ms=60_000)
    planner.perform(assign())
    assert planner.find(assign()) is None
    float_sandbox.load(search_lag_ms=0)
    assert planner.find(assign()) is not None


def test_a_throttle_behind_a_new_placeholder_is_in_doubt_and_makes_no_second_one(
    float_sandbox: Any, planner: Float
) -> None:
    ask = effect("request_resource")
    float_sandbox.arm("POST /v3/tasks", "throttle")
    with pytest.raises(UncertainOutcome, match="its allocation is not"):
        planner.perform(ask)
    assert planner.find(ask) is None
    made = planner.perform(ask)
    assert planner.find(ask) == made
    assert float_sandbox.state()["records"]["people"] == 2


def test_two_allocations_with_one_key_need_a_person(float_sandbox: Any, planner: Float) -> None:
    notes = "[psx:float:assign_resource:E-1.1.R1] and more"
    float_sandbox.load({"tasks": [task(1, notes=notes), task(2, notes=notes)]})
    with pytest.raises(NeedsReview, match="allocations 1, 2 all carry"):
        planner.find(assign())


def test_a_closed_request_leaves_the_schedule_and_nothing_is_deleted(float_sandbox: Any, planner: Float) -> None:
    request_id = planner.perform(effect("request_resource"))
    close = effect("close_request", planner_request_id=request_id)
    assert planner.find(close) is None
    assert planner.perform(close) == planner.find(close) == planner.perform(close) == request_id
    (stand_in,) = [row for row in all_people(float_sandbox) if row["people_type_id"] == 3]
    assert (stand_in["active"], stand_in["job_title"]) == (0, "Consultant")
    assert get(float_sandbox, f"tasks/{request_id}").status_code == 200
    assert booked(planner) == []


def test_a_request_that_went_to_a_person_by_hand_archives_nobody(float_sandbox: Any, planner: Float) -> None:
    request_id = planner.perform(effect("request_resource"))
    moved = {"people_id": 42}
    requests.patch(f"{float_sandbox.url}/v3/tasks/{request_id}", json=moved, headers=AGENT, timeout=5)
    close = effect("close_request", planner_request_id=request_id)
    assert planner.find(close) is None
    with pytest.raises(Rejected, match="went to somebody by hand"):
        planner.perform(close)
    assert get(float_sandbox, "people/42").json()["active"] == 1
    assert [a.request_id for a in booked(planner)] == [None]  # planned by hand


def test_a_person_is_never_archived_even_with_our_mark_in_their_notes(float_sandbox: Any, planner: Float) -> None:
    mark = "[psx:float:request_resource:E-1.1.R1]"
    float_sandbox.load({"people": [person(42, notes=f"stood in before {mark}")], "tasks": [task(1, notes=mark)]})
    with pytest.raises(Rejected, match="went to somebody by hand"):
        planner.perform(effect("close_request", planner_request_id="1"))
    assert get(float_sandbox, "people/42").json()["active"] == 1


def test_a_request_deleted_by_hand_is_closed(float_sandbox: Any, planner: Float) -> None:
    assert planner.find(effect("close_request", planner_request_id="4711")) == "4711"


def test_a_release_ends_an_allocation_and_touches_nothing_else(float_sandbox: Any, planner: Float) -> None:
    made = planner.perform(assign())
    free = release(made, "2026-11-13")
    assert planner.find(free) is None
    assert planner.perform(free) == planner.find(free) == planner.perform(free) == made
    row = get(float_sandbox, f"tasks/{made}").json()
    assert (row["start_date"], row["end_date"], row["hours"]) == ("2026-11-09", "2026-11-13", 6.5)
    assert "[psx:float:assign_resource:E-1.1.R1]" in row["notes"]


def test_a_repeating_allocation_is_released_with_its_repetitions(float_sandbox: Any, planner: Float) -> None:
    float_sandbox.load({"tasks": [task(1, start_date="2026-11-02", end_date="2026-11-03", repeat_state=1)]})
    free = release("1", "2026-11-09")
    assert planner.perform(free) == planner.find(free) == "1"
    assert [a.assignment_id for a in booked(planner)] == ["1", "1@2026-11-09"]


def test_an_allocation_that_has_not_begun_is_deleted_and_one_that_has_is_not(
    float_sandbox: Any, planner: Float
) -> None:
    today = dt.datetime.now(dt.UTC).date()
    ahead, begun = today + dt.timedelta(days=30), today - dt.timedelta(days=3)
    end = str(today + dt.timedelta(days=60))
    float_sandbox.load(
        {"tasks": [task(1, start_date=str(ahead), end_date=end), task(2, start_date=str(begun), end_date=end)]}
    )
    assert planner.perform(release("1", ahead - dt.timedelta(days=1))) == "1"
    assert planner.find(release("1", ahead - dt.timedelta(days=1))) == "1"  # gone is released
    with pytest.raises(Rejected, match="no earlier day can be its last"):
        planner.perform(release("2", begun - dt.timedelta(days=1)))
    assert float_sandbox.state()["records"]["tasks"] == 1


def test_an_allocation_shared_by_hand_is_not_ended_for_the_others(float_sandbox: Any, planner: Float) -> None:
    float_sandbox.load({"people": [person(43)], "tasks": [task(1, people_id=None, people_ids=[42, 43])]})
    with pytest.raises(Rejected, match="one of several people"):
        planner.perform(release("1", "2026-11-13"))


def test_an_unknown_capability_is_a_configuration_error(planner: Float) -> None:
    for ask in (planner.find, planner.perform):
        with pytest.raises(ConfigurationError, match="assign_resource, close_project, close_request, create_project"):
            ask(effect("delete_person"))


def test_what_it_declares_is_what_it_does(planner: Float) -> None:
    for capability in REGISTRATION.capabilities:
        assert planner._writer(effect(capability))
    assert (REGISTRATION.key, REGISTRATION.role, REGISTRATION.api_version) == (planner.key, "planner", "v3")


def test_a_project_has_a_page_and_the_rest_the_schedule(planner: Float) -> None:
    assert planner.url("project", "310") == "https://meridian.float.com/projects?project=310"
    assert planner.url("assignment", "7001") == "https://meridian.float.com/"
