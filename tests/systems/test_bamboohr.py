"""BambooHR as our HR, over HTTP against its sandbox, whose answers are held to the vendor's own description."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator, ValidationError

from psflow.contracts import Absence, Employment, Resource, VendorProfile
from psflow.errors import ConfigurationError, NeedsReview, Rejected, TransientError
from psflow.systems.bamboohr import REGISTRATION
from psflow.systems.bamboohr.client import BambooHR
from psflow.systems.ports import Hr
from psflow.systems.transport import Transport
from tests.effects import open_effect

PROFILE = VendorProfile(lookup="search", deadline_s=2, late_landing_s=1, search_lag_s=0, lease_s=10)
SPEC = json.loads((Path(__file__).parent / "specs/bamboohr/public.json").read_text(encoding="utf-8"))
NOVEMBER = (dt.date(2026, 11, 1), dt.date(2026, 11, 30))
PEOPLE = "/api/v2/datasets/employee/data"
CHANGED = "/api/v1/employees/changed"
JOBS = "/api/v1/employees/changed/tables/jobInfo"
TIME_OFF = "/api/v1/time_off/requests"


def employee(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "employeeNumber": f"{1000 + number}",
        "firstName": "Ann",
        "lastName": f"Lee {number}",
        "workEmail": f"Ann.Lee{number}@Firm.example",
        "location": "EU",
        "jobTitle": "Consultant",
        "hireDate": "2024-03-01",
        "lastChanged": "2026-11-01T08:15:30+00:00",
    } | fields


def leave(number: int, dates: Any, unit: str = "hours", state: str = "approved", **fields: Any) -> dict[str, Any]:
    return {
        "id": number,
        "employeeId": 7,
        "name": "Ann Lee",
        "status": {"status": state, "lastChanged": "2026-10-01", "lastChangedByUserId": 1},
        "type": {"id": 79, "name": "Sick", "icon": "medical"},
        "amount": {"unit": unit, "amount": 1},
        "dates": dates,
        "notes": {"employee": "flu"},
    } | fields


def job(number: int, day: str, division: str = "Firm US", **fields: Any) -> dict[str, Any]:
    """One row of a person's job information."""
    row = {"id": f"{number}{day:0>8}".replace("-", ""), "employeeId": str(number), "date": day, "division": division}
    return row | {"location": "EU", "department": "Delivery", "jobTitle": "Consultant", "reportsTo": "Bo Ek"} | fields


@pytest.fixture
def hr(bamboohr_sandbox: Any) -> BambooHR:
    return client(bamboohr_sandbox)


def client(sandbox: Any, api_key: str = "swordfish") -> BambooHR:
    return BambooHR(Transport("bamboohr", sandbox.url, 1), PROFILE, api_key)


def ask(sandbox: Any, verb: str, path: str, accept: str = "application/json", **request: Any) -> requests.Response:
    headers = {"Accept": accept}
    return requests.request(verb, sandbox.url + path, auth=("swordfish", "x"), headers=headers, timeout=5, **request)


def people(sandbox: Any, **body: Any) -> requests.Response:
    return ask(sandbox, "POST", PEOPLE, json={"fields": ["eeid"]} | body)


def read(hr: Hr) -> list[Resource]:
    return [row.record for page in hr.resources() for row in page.rows]


def away(hr: Hr) -> list[Absence]:
    return [row.record for page in hr.absences(*NOVEMBER) for row in page.rows]


def without_filter(monkeypatch: Any, name: str) -> None:
    """Let the vendor ignore one query parameter in silence."""
    honest = BambooHR._read

    def ignored(self: BambooHR, method: str, path: str, params: dict[str, str]) -> Any:
        return honest(self, method, path, params={k: v for k, v in params.items() if k != name})

    monkeypatch.setattr(BambooHR, "_read", ignored)


# -- people


def test_a_person_arrives_in_our_words(bamboohr_sandbox: Any, hr: BambooHR) -> None:
    bamboohr_sandbox.load({"employees": [employee(7)]})
    ((row,), _) = next(hr.resources())
    assert row.record_id == "7"
    assert row.record == Resource(
        resource_id="R-1007", name="Ann Lee 7", is_active=True, work_email="ann.lee7@firm.example", region="EU",
        employed_from=dt.date(2024, 3, 1), employed_to=None,
    )  # fmt: skip


def test_who_left_is_read_and_no_longer_active(bamboohr_sandbox: Any, hr: BambooHR) -> None:
    bamboohr_sandbox.load({"employees": [employee(7, status="Inactive", terminationDate="2026-10-31")]})
    (person,) = read(hr)
    assert (person.is_active, person.employed_to) == (False, dt.date(2026, 10, 31))


def test_what_is_empty_is_missing_and_the_date_of_zeros_is_no_date(bamboohr_sandbox: Any, hr: BambooHR) -> None:
    bare = {"id": "7", "firstName": "Bo", "lastName": "Ek"}
    bamboohr_sandbox.load({"employees": [bare]})
    given = people(bamboohr_sandbox, fields=["hireDate", "email"]).json()["data"][0]["fields"]
    assert given == {"hireDate": "0000-00-00", "email": ""}
    assert read(hr) == [Resource(resource_id="R-7", name="Bo Ek", is_active=True)]


@pytest.mark.parametrize("count", [0, 1, 1000, 1001, 2000, 2001])
def test_every_number_of_people_is_read_once(bamboohr_sandbox: Any, hr: BambooHR, count: int) -> None:
    bamboohr_sandbox.load({"employees": [employee(n) for n in range(1, count + 1)]})
    ids = [row.record_id for page in hr.resources() for row in page.rows]
    assert ids == [str(n) for n in range(1, count + 1)]


@pytest.mark.parametrize("change", [employee(3, _action="Deleted"), employee(5000)])
def test_people_who_come_or_go_between_two_pages_stop_the_read(
    bamboohr_sandbox: Any, hr: BambooHR, change: dict[str, Any]
) -> None:
    bamboohr_sandbox.load({"employees": [employee(n) for n in range(1, 1502)]})
    reading = hr.resources()
    next(reading)
    bamboohr_sandbox.load({"employees": [change]})
    with pytest.raises(TransientError, match="changed while they were read"):
        list(reading)


def test_a_list_that_does_not_end_is_noticed(bamboohr_sandbox: Any, hr: BambooHR, monkeypatch: Any) -> None:
    bamboohr_sandbox.load({"employees": [employee(n) for n in range(1, 2502)]})
    honest = BambooHR._read

    def same(self: BambooHR, method: str, path: str, **request: Any) -> Any:
        request["json"] = request["json"] | {"page": 1}
        return honest(self, method, path, **request)

    monkeypatch.setattr(BambooHR, "_read", same)
    with pytest.raises(TransientError, match="does not end"):
        read(hr)


def test_a_person_with_a_hidden_field_is_set_aside_instead_of_losing_it(bamboohr_sandbox: Any, hr: BambooHR) -> None:
    bamboohr_sandbox.load({"employees": [employee(7)]}, restricted=["employeeNumber", "terminationDate"])
    (rows, (bad,)) = next(hr.resources())
    assert rows == []
    assert bad.record_id == "7"
    assert "may not see employeeNumber, terminationDate" in bad.problem


def test_a_hidden_id_stops_the_read(bamboohr_sandbox: Any, hr: BambooHR) -> None:
    bamboohr_sandbox.load({"employees": [employee(7)]}, restricted=["id"])
    with pytest.raises(NeedsReview, match="without an id"):
        read(hr)


def test_two_people_with_one_number_are_not_made_one(bamboohr_sandbox: Any, hr: BambooHR) -> None:
    bamboohr_sandbox.load({"employees": [employee(7, employeeNumber="8"), employee(8, employeeNumber=None)]})
    ((first,), (second,)) = next(hr.resources())
    assert (first.record_id, second.record_id) == ("7", "8")
    assert "its number is also that of 7" in second.problem


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"hireDate": "01.03.2024"}, "hireDate is not YYYY-MM-DD"),
        ({"terminationDate": "2023-01-01"}, "terminationDate is before hireDate"),
        ({"lastName": ""}, "lastName"),
    ],
)
def test_a_person_out_of_shape_is_set_aside_and_nothing_of_them_told(
    bamboohr_sandbox: Any, hr: BambooHR, fields: dict[str, Any], says: str
) -> None:
    bamboohr_sandbox.load({"employees": [employee(7, **fields), employee(8)]})
    ((good,), (bad,)) = next(hr.resources())
    assert (good.record_id, bad.record_id) == ("8", "7")
    assert says in bad.problem
    assert not any(word in bad.problem for word in ("Ann", "ann.lee", "01.03.2024"))


def test_nothing_is_asked_for_beyond_name_mail_place_and_dates(bamboohr_sandbox: Any, hr: BambooHR) -> None:
    bamboohr_sandbox.load({"employees": [employee(7)]})
    ((row,), _) = next(hr.resources())
    assert set(json.loads(row.payload)["fields"]) == {
        "eeid", "employeeNumber", "firstName", "lastName", "email", "jobInformationLocation", "hireDate",
        "terminationDate", "status",
    }  # fmt: skip


def test_a_deleted_person_leaves_a_tombstone(bamboohr_sandbox: Any, hr: BambooHR) -> None:
    gone = employee(8, _action="Deleted", lastChanged="2026-11-02T10:00:00+01:00")
    left = employee(9, status="Inactive", terminationDate="2026-10-31")
    bamboohr_sandbox.load({"employees": [employee(7), gone, left]})
    ((row,), bad) = next(hr.deleted())
    assert (row.record_id, row.record, bad) == ("8", None, [])
    assert row.modified_at == dt.datetime(2026, 11, 2, 9, tzinfo=dt.UTC)
    assert [person.resource_id for person in read(hr)] == ["R-1007", "R-1009"]


def test_a_filter_the_vendor_ignores_makes_nobody_deleted(
    bamboohr_sandbox: Any, hr: BambooHR, monkeypatch: Any
) -> None:
    bamboohr_sandbox.load({"employees": [employee(7), employee(8, _action="Deleted")]})
    without_filter(monkeypatch, "type")
    ((row,), _) = next(hr.deleted())
    assert row.record_id == "8"


def test_what_is_not_needed_is_not_even_sent_to_us(bamboohr_sandbox: Any, hr: BambooHR, monkeypatch: Any) -> None:
    bamboohr_sandbox.load(
        {
            "employees": [employee(7), employee(8, _action="Deleted")],
            "time_off_requests": [leave(1, {"2026-11-05": 8}), leave(2, {"2026-11-05": 8}, state="denied")],
        }
    )
    honest, answers = Transport.read, list[Any]()

    def heard(self: Transport, *args: Any, **request: Any) -> Any:
        answers.append(honest(self, *args, **request))
        return answers[-1]

    monkeypatch.setattr(Transport, "read", heard)
    assert (len(away(hr)), len(list(hr.deleted()))) == (1, 1)
    time_off, changes = (json.loads(answer.body) for answer in answers)
    assert [request["id"] for request in time_off] == [1] and "notes" not in time_off[0]
    assert list(changes["employees"]) == ["8"]


def test_nobody_deleted_is_an_empty_list_and_no_map(bamboohr_sandbox: Any, hr: BambooHR) -> None:
    bamboohr_sandbox.load({"employees": [employee(7)]})
    given = ask(bamboohr_sandbox, "GET", CHANGED, params={"since": "2026-01-01T00:00:00Z", "type": "deleted"})
    assert given.json()["employees"] == []
    assert list(hr.deleted()) == [([], [])]


# -- who employs them


def test_who_employs_a_person_is_read_by_date_in_any_order(bamboohr_sandbox: Any, hr: BambooHR) -> None:
    moved = [job(7, "2026-07-01", "Firm EU"), job(7, "2024-03-01"), job(7, "2025-01-01", "", jobTitle="Partner")]
    bamboohr_sandbox.load({"employees": [employee(7), employee(8)], "job_info": moved})
    ((first, second), bad) = next(hr.employments())
    said = [(row.valid_from, row.employer) for row in first.record]
    assert said == [(dt.date(2024, 3, 1), "Firm US"), (dt.date(2025, 1, 1), None), (dt.date(2026, 7, 1), "Firm EU")]
    assert (first.record_id, first.record[0].resource_ref, second.record, bad) == ("7", "7", (), [])
    assert not any(word in first.payload for word in ("Partner", "Bo Ek", "Delivery"))
    again = hr.read_again("employment", "7", first.payload)
    assert again.rows == [first] and hr.read_again("employment", "7", '{"rows": 1}').bad


def test_two_employers_on_one_day_a_row_without_a_date_and_a_hidden_one_are_set_aside(
    bamboohr_sandbox: Any, hr: BambooHR
) -> None:
    two = [job(7, "2026-07-01"), job(7, "2026-07-01", "Firm EU") | {"id": "8"}]
    bamboohr_sandbox.load({
        "employees": [employee(n) for n in (7, 8, 9)],
        "job_info": [
            *two, job(8, "0000-00-00"), job(9, "2026-07-01"), job(9, "2026-07-01", jobTitle="Boss") | {"id": "9"}
        ],
    })  # fmt: skip
    ((good,), bad) = next(hr.employments())
    assert good.record == (Employment(resource_ref="9", valid_from=dt.date(2026, 7, 1), employer="Firm US"),)
    assert {row.record_id: row.problem.partition(";")[0] for row in bad} == {
        "7": "job information has two divisions from 2026-07-01 on", "8": "a row of job information has no date"
    }  # fmt: skip
    assert not any("Firm" in row.problem for row in bad)
    bamboohr_sandbox.load({}, restricted=["division"])
    (rows, bad) = next(hr.employments())
    assert rows == [] and "may not see division" in bad[0].problem


def test_job_information_is_kept_in_one_order_whatever_the_order_it_comes_in(
    bamboohr_sandbox: Any, hr: BambooHR
) -> None:
    jobs = [job(7, f"20{year}-03-01") for year in range(10, 22)]
    bamboohr_sandbox.load({"employees": [employee(7)], "job_info": jobs})
    kept = {page.rows[0].payload for page in (next(hr.employments()) for _ in range(3))}
    assert len(kept) == 1


def test_nobody_with_job_information_is_an_empty_list_and_other_tables_are_not_there(
    bamboohr_sandbox: Any, hr: BambooHR
) -> None:
    assert list(hr.employments()) == [([], [])]
    window = {"since": "2026-01-01T00:00:00Z"}
    assert ask(bamboohr_sandbox, "GET", JOBS, params=window).json()["employees"] == []
    assert ask(bamboohr_sandbox, "GET", JOBS.replace("jobInfo", "pay"), params=window).status_code == 404
    assert ask(bamboohr_sandbox, "GET", JOBS).status_code == 400
    with pytest.raises(requests.HTTPError):
        bamboohr_sandbox.load({"job_info": [job(7, "2026-07-01", pay="1")]})


# -- leave


def test_leave_is_hours_a_day_whole_or_half(bamboohr_sandbox: Any, hr: BambooHR) -> None:
    dates = {"2026-11-05": 8, "2026-11-06": 4, "2026-11-07": 0}
    bamboohr_sandbox.load({"time_off_requests": [leave(1, dates)]})
    first, second = away(hr)
    assert first == Absence(
        absence_id="1", resource_ref="7", absent_on=dt.date(2026, 11, 5), hours=Decimal(8), is_approved=True
    )
    assert (second.absent_on, second.hours) == (dt.date(2026, 11, 6), Decimal(4))


def test_leave_in_days_is_eight_hours_a_day(bamboohr_sandbox: Any, hr: BambooHR) -> None:
    bamboohr_sandbox.load({"time_off_requests": [leave(1, {"2026-11-05": 1, "2026-11-06": 0.5}, unit="days")]})
    assert [day.hours for day in away(hr)] == [Decimal(8), Decimal(4)]


def test_amounts_as_text_are_amounts_and_rounded_once(bamboohr_sandbox: Any, hr: BambooHR) -> None:
    bamboohr_sandbox.load({"time_off_requests": [leave(1, {"2026-11-05": "7.6", "2026-11-06": "2.6667"})]})
    assert [day.hours for day in away(hr)] == [Decimal("7.60"), Decimal("2.67")]


def test_only_what_is_asked_for_or_approved_is_leave(bamboohr_sandbox: Any, hr: BambooHR) -> None:
    states = ["approved", "requested", "denied", "canceled", "superceded"]
    bamboohr_sandbox.load(
        {"time_off_requests": [leave(n, {"2026-11-05": 8}, state=s) for n, s in enumerate(states, 1)]}
    )
    assert [(day.absence_id, day.is_approved) for day in away(hr)] == [("1", True), ("2", False)]


def test_a_filter_the_vendor_ignores_brings_no_denied_leave(
    bamboohr_sandbox: Any, hr: BambooHR, monkeypatch: Any
) -> None:
    bamboohr_sandbox.load({"time_off_requests": [leave(1, {"2026-11-05": 8}, state="denied")]})
    without_filter(monkeypatch, "status")
    assert away(hr) == []


def test_of_leave_across_the_windows_edge_the_days_inside_are_read(bamboohr_sandbox: Any, hr: BambooHR) -> None:
    dates = {"2026-10-30": 8, "2026-10-31": 8, "2026-11-01": 8, "2026-11-02": 8}
    outside = leave(2, {"2026-12-01": 8})
    bamboohr_sandbox.load({"time_off_requests": [leave(1, dates), outside]})
    assert [day.absent_on.isoformat() for day in away(hr)] == ["2026-11-01", "2026-11-02"]


def test_a_long_window_is_read_by_the_quarter_and_no_day_twice_or_never(bamboohr_sandbox: Any, hr: BambooHR) -> None:
    days = [dt.date(2025, 1, 1) + dt.timedelta(days=n) for n in range(700)]
    bamboohr_sandbox.load({"time_off_requests": [leave(1, {str(day): 8 for day in days})]})
    pages = list(hr.absences(days[0], days[-1]))
    assert len(pages) == 8
    assert [row.record.absent_on for page in pages for row in page.rows] == days


def test_a_request_with_one_bad_day_is_set_aside_in_every_page_it_touches(bamboohr_sandbox: Any, hr: BambooHR) -> None:
    bamboohr_sandbox.load({"time_off_requests": [leave(1, {"2026-01-05": 25, "2026-11-05": 8})]})
    pages = list(hr.absences(dt.date(2026, 1, 1), dt.date(2026, 12, 31)))
    assert [len(page.rows) for page in pages] == [0] * len(pages)
    assert {bad.record_id for page in pages for bad in page.bad} == {"1"}


def test_the_kind_of_leave_its_notes_and_the_name_are_not_kept(bamboohr_sandbox: Any, hr: BambooHR) -> None:
    bamboohr_sandbox.load({"time_off_requests": [leave(1, {"2026-11-05": 8}), leave(2, {"2026-11-06": "ill"})]})
    ((row,), (bad,)) = next(hr.absences(*NOVEMBER))
    for payload in (row.payload, bad.payload):
        assert set(json.loads(payload)) == {
            "id", "employeeId", "start", "end", "created", "status", "amount", "dates",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (leave(2, {"2026-11-06": 25}), "2026-11-06 has 25.00 hours"),
        (leave(2, [], start="2026-11-06", end="2026-11-06"), "dates is empty"),
        (leave(2, {"2026-11-06": "a lot"}), "Invalid decimal"),
        (leave(2, {"2026-11-06": 8}, employeeId=None), "employeeId"),
    ],
)
def test_leave_out_of_shape_is_set_aside_and_the_rest_goes_on(
    bamboohr_sandbox: Any, hr: BambooHR, request_: dict[str, Any], says: str
) -> None:
    bamboohr_sandbox.load({"time_off_requests": [leave(1, {"2026-11-05": 8}), request_]})
    ((good,), (bad,)) = next(hr.absences(*NOVEMBER))
    assert (good.record_id, bad.record_id) == ("1", "2")
    assert says in bad.problem


# -- what may happen next


@pytest.mark.parametrize(("fault", "status"), [("throttle", "429"), ("e503_before", "503")])
def test_a_throttled_read_says_when_to_come_back_and_why(
    bamboohr_sandbox: Any, hr: BambooHR, fault: str, status: str
) -> None:
    bamboohr_sandbox.arm(f"GET {TIME_OFF}", fault)
    given = ask(bamboohr_sandbox, "GET", TIME_OFF)
    assert (given.status_code, given.text, given.headers["Retry-After"]) == (int(status), "", "1")
    bamboohr_sandbox.arm(f"GET {TIME_OFF}", fault, 4)
    with pytest.raises(TransientError, match=given.headers["X-BambooHR-Error-Message"]) as caught:
        away(hr)
    assert (caught.value.retry_after_s, caught.value.code) == (1, status)


@pytest.mark.parametrize("fault", ["e500_after", "timeout_after_commit"])
def test_a_broken_read_is_tried_again(bamboohr_sandbox: Any, hr: BambooHR, fault: str) -> None:
    bamboohr_sandbox.load({"employees": [employee(7)]})
    bamboohr_sandbox.arm(f"POST {PEOPLE}", fault, 2)
    assert len(read(hr)) == 1


def test_a_refusal_carries_the_text_of_its_header(bamboohr_sandbox: Any, hr: BambooHR, monkeypatch: Any) -> None:
    honest = BambooHR._read
    monkeypatch.setattr(BambooHR, "_read", lambda self, method, path, **_: honest(self, method, path))
    with pytest.raises(Rejected, match="start and end are required") as caught:
        away(hr)
    assert caught.value.code == "400"


def test_a_key_that_is_not_accepted_is_not_tried_again_and_not_shown(bamboohr_sandbox: Any) -> None:
    hr = client(bamboohr_sandbox, api_key="hunter2")
    with pytest.raises(ConfigurationError, match="API key is not accepted") as caught:
        read(hr)
    assert "hunter2" not in f"{caught.value!r} {hr!r}"


def test_an_answer_that_is_not_json_is_tried_again(bamboohr_sandbox: Any, hr: BambooHR, monkeypatch: Any) -> None:
    honest = Transport.read
    monkeypatch.setattr(
        Transport,
        "read",
        lambda self, *args, headers, **more: honest(self, *args, headers=headers | {"Accept": "*/*"}, **more),
    )
    with pytest.raises(TransientError, match="not the one that is documented"):
        away(hr)


def test_reading_people_is_no_write_and_a_write_is_no_capability(bamboohr_sandbox: Any, hr: BambooHR) -> None:
    bamboohr_sandbox.load({"employees": [employee(7)]})
    read(hr)
    assert bamboohr_sandbox.state()["writes"] == 0
    for act in (hr.perform, hr.find):
        with pytest.raises(ConfigurationError, match="only read"):
            act(open_effect(system="bamboohr"))


def test_it_registers_as_hr_that_offers_three_streams(hr: BambooHR) -> None:
    assert (REGISTRATION.key, REGISTRATION.role, REGISTRATION.conn_type) == (hr.key, "hr", "psflow_bamboohr")
    assert (REGISTRATION.capabilities, REGISTRATION.streams) == (frozenset(), {"resource", "employment", "absence"})


def test_a_person_has_a_page(hr: BambooHR) -> None:
    assert hr.url("resource", "7") == f"{hr.transport.base_url}/employees/employee.php?id=7"


# -- the sandbox is as strict as the vendor


def test_the_vendor_speaks_xml_unless_asked_for_json(bamboohr_sandbox: Any) -> None:
    bamboohr_sandbox.load({"employees": [employee(7)], "time_off_requests": [leave(1, {"2026-11-05": 8})]})
    window = {"start": "2026-11-01", "end": "2026-11-30", "since": "2026-01-01T00:00:00Z"}
    for path in (CHANGED, TIME_OFF, "/api/v1/employees/7"):
        given = ask(bamboohr_sandbox, "GET", path, accept="*/*", params=window)
        assert given.headers["content-type"].startswith("application/xml"), path
        assert given.text.startswith("<?xml"), path
        assert ask(bamboohr_sandbox, "GET", path, params=window).json(), path


def test_a_hidden_field_is_empty_and_named_in_the_dataset_and_left_out_elsewhere(bamboohr_sandbox: Any) -> None:
    bamboohr_sandbox.load({"employees": [employee(7)]}, restricted=["hireDate"])
    (row,) = people(bamboohr_sandbox, fields=["eeid", "hireDate"]).json()["data"]
    assert row == {"fields": {"eeid": "7", "hireDate": ""}, "_restrictedFields": ["employee_hireDate"]}
    one = ask(bamboohr_sandbox, "GET", "/api/v1/employees/7", params={"fields": "hireDate,status"})
    assert one.json() == {"id": "7", "status": "Active"}


def test_a_created_or_changed_person_is_answered_without_a_body(bamboohr_sandbox: Any) -> None:
    made = ask(bamboohr_sandbox, "POST", "/api/v1/employees", json={"firstName": "Bo", "lastName": "Ek"})
    assert (made.status_code, made.text) == (201, "")
    number = made.headers["Location"].rpartition("=")[2]
    path = f"/api/v1/employees/{number}"
    changed = ask(bamboohr_sandbox, "POST", path, json={"status": "Inactive", "terminationDate": "2026-11-30"})
    assert (changed.status_code, changed.text) == (200, "")
    since = {"since": "2026-01-01T00:00:00Z"}
    assert ask(bamboohr_sandbox, "GET", CHANGED, params=since).json()["employees"][number]["action"] == "Updated"


def test_a_number_that_is_taken_or_a_name_that_is_missing_is_refused_in_a_header(bamboohr_sandbox: Any) -> None:
    bamboohr_sandbox.load({"employees": [employee(7)]})
    twin = {"firstName": "Bo", "lastName": "Ek", "employeeNumber": "1007"}
    for body, status in ((twin, 409), ({"firstName": "Bo"}, 400), ([], 400)):
        given = ask(bamboohr_sandbox, "POST", "/api/v1/employees", json=body)
        assert (given.status_code, given.text) == (status, "")
        assert given.headers["X-BambooHR-Error-Message"]


def test_the_dataset_pages_from_one_and_leaves_out_links_at_its_ends(bamboohr_sandbox: Any) -> None:
    bamboohr_sandbox.load({"employees": [employee(n) for n in range(1, 6)]})
    pages = [people(bamboohr_sandbox, page=n, pageSize=2, orderBy="eeid asc").json() for n in (1, 2, 3)]
    assert [[row["fields"]["eeid"] for row in page["data"]] for page in pages] == [["1", "2"], ["3", "4"], ["5"]]
    assert [set(page["links"]) for page in pages] == [{"next"}, {"next", "prev"}, {"prev"}]
    assert pages[2]["meta"] == {"page": 3, "pageSize": 2, "totalPages": 3, "totalItems": 5}


def test_the_dataset_has_no_order_of_its_own(bamboohr_sandbox: Any) -> None:
    bamboohr_sandbox.load({"employees": [employee(n) for n in range(1, 51)]})
    once, again = (people(bamboohr_sandbox).json()["data"] for _ in range(2))
    assert once != again


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"fields": []}, 400, "INVALID_ARGUMENT"),
        ({"fields": ["eeid", "workEmail"]}, 400, "INVALID_ARGUMENT"),
        ({"orderBy": "hireDate asc"}, 400, "UE-1001"),
        ({"pageSize": 1001}, 422, "INVALID_PAGINATION"),
        ({"page": 0}, 422, "INVALID_PAGINATION"),
        ({"filter": "status eq 'Active'"}, 422, "INVALID_FILTER"),
    ],
)
def test_the_dataset_refuses_what_it_does_not_hold(
    bamboohr_sandbox: Any, body: dict[str, Any], status: int, code: str
) -> None:
    given = people(bamboohr_sandbox, **body)
    assert (given.status_code, given.json()["code"]) == (status, code)
    assert given.headers["content-type"] == "application/problem+json"
    _held_to(given, PEOPLE.replace("employee", "{datasetName}"), "post", status)


def test_changes_need_an_encoded_time_stamp(bamboohr_sandbox: Any) -> None:
    plain = ask(bamboohr_sandbox, "GET", f"{CHANGED}?since=2026-01-01T00:00:00+00:00")
    assert plain.status_code == 400  # the plus is a space
    encoded = ask(bamboohr_sandbox, "GET", CHANGED, params={"since": "2026-01-01T00:00:00+00:00"})
    assert encoded.status_code == 200
    assert ask(bamboohr_sandbox, "GET", CHANGED).status_code == 400
    assert ask(bamboohr_sandbox, "GET", f"{CHANGED}?since=2026-01-01T00:00:00Z&type=gone").status_code == 400


def test_superceded_is_spelt_their_way(bamboohr_sandbox: Any) -> None:
    bamboohr_sandbox.load({"time_off_requests": [leave(1, {"2026-11-05": 8}, state="superceded")]})
    window = {"start": "2026-11-01", "end": "2026-11-30"}
    for asked, found in (("superceded", 1), ("superseded", 0)):
        assert len(ask(bamboohr_sandbox, "GET", TIME_OFF, params=window | {"status": asked}).json()) == found
    with pytest.raises(requests.HTTPError):
        bamboohr_sandbox.load({"time_off_requests": [leave(2, {"2026-11-05": 8}, state="superseded")]})


def test_a_wrong_key_is_refused_without_a_body(bamboohr_sandbox: Any) -> None:
    for login in (("hunter2", "x"), None):
        given = requests.get(bamboohr_sandbox.url + CHANGED, auth=login, timeout=5)
        assert (given.status_code, given.text) == (401, "")


@pytest.mark.parametrize(
    "record", [employee(7, ssn="1"), employee(7, status="Fired"), employee(7, id="x"), employee(7, _action="Gone")]
)
def test_a_person_the_vendor_could_not_hold_is_not_loaded(bamboohr_sandbox: Any, record: dict[str, Any]) -> None:
    with pytest.raises(requests.HTTPError):
        bamboohr_sandbox.load({"employees": [record]})


def _held_to(given: requests.Response, path: str, verb: str, status: int = 200) -> dict[str, Any]:
    """Raise unless an answer is as the vendor describes it; return the description."""
    steps = ["paths", path, verb, "responses", str(status), "content", "application/json", "schema"]
    pointer = "#/" + "/".join(step.replace("~", "~0").replace("/", "~1") for step in steps)
    Draft202012Validator(SPEC | {"$ref": pointer}, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(
        given.json()
    )
    described: Any = SPEC
    for step in steps:
        described = described[step]
    return dict(described)


def _answers(sandbox: Any) -> Iterator[tuple[requests.Response, str, str]]:
    window = {"start": "2026-11-01", "end": "2026-11-30"}
    yield people(sandbox, fields=["eeid", "hireDate", "terminationDate"]), "/api/v2/datasets/{datasetName}/data", "post"
    yield ask(sandbox, "GET", CHANGED, params={"since": "2026-01-01T00:00:00Z"}), CHANGED, "get"
    jobs = ask(sandbox, "GET", JOBS, params={"since": "2026-01-01T00:00:00Z"})
    yield jobs, JOBS.replace("jobInfo", "{table}"), "get"
    yield ask(sandbox, "GET", TIME_OFF, params=window), TIME_OFF, "get"
    fields = {"fields": "firstName,workEmail,hireDate,terminationDate,status"}
    yield ask(sandbox, "GET", "/api/v1/employees/7", params=fields), "/api/v1/employees/{id}", "get"


def test_the_sandbox_answers_as_the_vendors_own_description_says(bamboohr_sandbox: Any) -> None:
    gone = employee(8, _action="Deleted")
    bamboohr_sandbox.load({
        "employees": [employee(7), gone], "job_info": [job(7, "2024-03-01")],
        "time_off_requests": [leave(1, {"2026-11-05": 8})],
    })  # fmt: skip
    for given, path, verb in _answers(bamboohr_sandbox):
        described = _held_to(given, path, verb)
        if path == TIME_OFF:  # their description allows unknown names: ours has none
            assert set(given.json()[0]) <= set(described["items"]["properties"])


def test_an_answer_out_of_the_description_would_be_noticed(bamboohr_sandbox: Any) -> None:
    bamboohr_sandbox.load({"time_off_requests": [leave(1, {"2026-11-05": "8"})]})
    given = ask(bamboohr_sandbox, "GET", TIME_OFF, params={"start": "2026-11-01", "end": "2026-11-30"})
    with pytest.raises(ValidationError, match="'8' is not of type 'number'"):
        _held_to(given, TIME_OFF, "get")
