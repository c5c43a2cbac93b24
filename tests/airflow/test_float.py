"""Float in Airflow: its connection becomes a planner, and its operators write once."""

from __future__ import annotations

from typing import Any

import pytest

from psflow.errors import ConfigurationError, NeedsReview
from psflow_airflow.hooks.float import FloatHook
from psflow_airflow.operators.float import (
    FloatAssignOperator,
    FloatCloseRequestOperator,
    FloatCreateProjectOperator,
    FloatPullOperator,
    FloatReleaseOperator,
    FloatRequestResourceOperator,
)
from tests.airflow.conftest import context, set_connection
from tests.flows.conftest import Firm
from tests.systems.conftest import Sandbox, float_sandbox

__all__ = ["float_sandbox"]
EXTRA = {"currency": "EUR", "contact": "ops@meridian.example", "app_url": "https://meridian.float.com"}
ASKED = {
    "planner_project_id": "310", "project_code": "P-1", "role": "Consultant", "skills": ["sql"], "region": "EU",
    "starts_on": "2026-11-09", "ends_on": "2026-11-20", "hours_per_day": "6",
}  # fmt: skip


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch, float_sandbox: Sandbox) -> Sandbox:
    connect(monkeypatch, float_sandbox.url)
    ann = {"people_id": 42, "name": "Ann Lee", "email": "ann@meridian.example"}
    float_sandbox.load({"people": [ann], "projects": [{"project_id": 310, "name": "Rollout"}]})
    return float_sandbox


def connect(monkeypatch: pytest.MonkeyPatch, url: str, **fields: Any) -> None:
    given: dict[str, Any] = {"password": "swordfish", "extra": EXTRA} | fields
    set_connection(monkeypatch, "psflow_float", conn_type="psflow_float", host=url, **given)


def test_the_connection_becomes_a_planner_that_reads(planner: Sandbox) -> None:
    hook = FloatHook()
    adapter = hook.get_conn()
    assert (adapter.currency, adapter.profile.deadline_s) == ("EUR", adapter.transport.deadline_s)
    ((row,), _) = next(adapter.people())
    assert row.record.resource.name == "Ann Lee"
    assert hook.test_connection() == (True, "float answers and accepts the login")
    assert "swordfish" not in repr(adapter) + repr(vars(hook))


@pytest.mark.parametrize("missing", EXTRA)
def test_a_missing_field_is_named_with_its_connection(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    connect(monkeypatch, "https://x.example.com", extra={k: v for k, v in EXTRA.items() if k != missing})
    with pytest.raises(ConfigurationError, match=f"'psflow_float' lacks its extra field '{missing}'"):
        FloatHook().get_conn()
    connect(monkeypatch, "https://x.example.com", password="")
    with pytest.raises(ConfigurationError, match=r"lacks its password \(API token\)"):
        FloatHook().get_conn()


def test_an_account_keeps_the_time_of_its_zone_and_an_unknown_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "https://x.example.com", extra=EXTRA | {"zone": "Europe/Berlin"})
    assert str(FloatHook().get_conn().zone) == "Europe/Berlin"
    connect(monkeypatch, "https://x.example.com", extra=EXTRA | {"zone": "Berlin"})
    with pytest.raises(ConfigurationError, match=r"'psflow_float': time zone 'Berlin' is unknown"):
        FloatHook().get_conn()


def test_people_of_the_planner_are_pulled(firm: Firm, connections: None, planner: Sandbox) -> None:
    counts = FloatPullOperator(task_id="pull").execute(context())
    assert (counts["resources"], counts["assignments"], counts["withdrawn"]) == (1, 0, 0)
    assert firm.store.value("select name from core.resource where work_email = 'ann@meridian.example'") == "Ann Lee"


def test_a_person_is_booked_once_however_often_the_task_runs(firm: Firm, connections: None, planner: Sandbox) -> None:
    def book(**payload: Any) -> FloatAssignOperator:
        given = ASKED | {"planner_person_id": "42"} | payload
        return FloatAssignOperator(task_id="assign", subject="E-1.1.R1", payload=given)

    first = book()
    made = first.execute(context())
    assert book().execute(context()) == made
    assert first.record_url == "https://meridian.float.com/"
    assert planner.state()["records"]["tasks"] == 1
    with pytest.raises(NeedsReview, match="registered with another payload"):
        book(hours_per_day="8").execute(context())


def test_an_answer_that_was_lost_is_looked_up_and_nothing_is_booked_twice(
    firm: Firm, connections: None, planner: Sandbox
) -> None:
    planner.load(hang_s=2.5)
    planner.arm("POST /v3/tasks", "timeout_after_commit")
    given = ASKED | {"planner_person_id": "42"}
    made = FloatAssignOperator(task_id="assign", subject="E-1.1.R1", payload=given).execute(context())
    assert planner.state()["records"]["tasks"] == 1 and made


def test_each_capability_has_an_operator(firm: Firm, connections: None, planner: Sandbox) -> None:
    def run(operator: Any, subject: str, **payload: Any) -> str:
        return str(operator(task_id="write", subject=subject, payload=payload).execute(context()))

    project = run(FloatCreateProjectOperator, "P-1", project_code="P-1", name="Rollout")
    asked = ASKED | {"planner_project_id": project}
    request = run(FloatRequestResourceOperator, "R1", **asked)
    booking = run(FloatAssignOperator, "R1", **asked, planner_person_id="42")
    assert run(FloatCloseRequestOperator, "R1", planner_request_id=request) == request
    released = {"planner_assignment_id": booking, "ends_on": "2026-11-13"}
    assert run(FloatReleaseOperator, "R1.2026-11-13", **released) == booking
