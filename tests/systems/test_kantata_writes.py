"""What psflow does in Kantata beyond a bare project: templates, people on projects, demand, milestones."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from psflow.errors import ConfigurationError, NeedsReview, Rejected, UncertainOutcome
from psflow.systems.kantata.client import Kantata
from tests.effects import open_effect
from tests.systems.test_kantata import CARDS, PROJECT, client

TEMPLATE = {
    "id": "9",
    "title": "Rollout",
    "_stories": [
        {"title": "Kickoff", "story_type": "milestone", "due_date": "2026-11-10"},
        {"title": "Design", "story_type": "task"},
    ],
}
WORK = {
    "request_id": "R-1", "project_code": "P-1", "role": "Consultant", "skills": ["sql"], "region": "EU",
    "starts_on": "2026-11-05", "ends_on": "2026-11-10", "hours_per_day": "7.50", "psa_project_id": "55",
}  # fmt: skip


@pytest.fixture
def psa(kantata_sandbox: Any) -> Kantata:
    people = [{"id": "7", "full_name": "Ann Lee"}, {"id": "8", "full_name": "Bo"}]
    kantata_sandbox.load(CARDS | {"users": people, "workspaces": [{"id": "55", "title": "Acme"}]})
    return client(kantata_sandbox)


def assign(person: str = "7", key: str = "assign-1", **payload: Any) -> Any:
    return open_effect(key=key, capability="assign_resource", payload=WORK | {"psa_person_id": person} | payload)


def request(key: str = "request-1", **payload: Any) -> Any:
    return open_effect(key=key, capability="request_resource", payload=WORK | payload)


def milestone(**payload: Any) -> Any:
    return open_effect(key="m-1", capability="update_milestone", payload={"psa_milestone_id": "3"} | payload)


def create(template: str) -> Any:
    return open_effect(payload=PROJECT | {"template": template})


def held(sandbox: Any, kind: str) -> list[dict[str, Any]]:
    headers = {"Authorization": "Bearer swordfish"}
    answer = requests.get(f"{sandbox.url}/api/v1/{kind}?per_page=200", headers=headers, timeout=5).json()
    return [answer[kind][result["id"]] for result in answer["results"]]


def test_a_project_from_a_template_gets_its_tasks_and_milestones_a_little_later(
    kantata_sandbox: Any, psa: Kantata
) -> None:
    kantata_sandbox.load({"project_templates": [TEMPLATE]}, template_lag_ms=60_000)
    made = psa.perform(create("Rollout"))
    assert [row for page in psa.tasks(None) for row in page.rows] == []
    assert psa.find(create("Rollout")) == made
    kantata_sandbox.load(template_lag_ms=0)
    again = psa.perform(open_effect(key="other", payload=PROJECT | {"template": "Rollout"}))
    assert [row.record.title for page in psa.tasks(None) for row in page.rows] == ["Design"]
    assert [row.record.project_ref for page in psa.milestones(None) for row in page.rows] == [again]


@pytest.mark.parametrize("count", [0, 2])
def test_a_template_that_is_not_there_exactly_once_is_refused_before_anything_is_made(
    kantata_sandbox: Any, psa: Kantata, count: int
) -> None:
    kantata_sandbox.load({"project_templates": [TEMPLATE | {"id": str(n)} for n in range(1, count + 1)]})
    with pytest.raises(Rejected, match=f"{count} project templates are named 'Rollout'"):
        psa.perform(create("Rollout"))
    assert kantata_sandbox.state()["writes"] == 0


def test_a_person_is_put_on_a_project_for_all_working_hours_and_found_again(kantata_sandbox: Any, psa: Kantata) -> None:
    assert psa.find(assign()) is None
    made = psa.perform(assign())
    assert psa.find(assign()) == made
    assert psa.find(assign(key="another")) is None
    (allocation,) = held(kantata_sandbox, "workspace_allocations")
    (place,) = held(kantata_sandbox, "workspace_resources")
    assert allocation["minutes"] == 4 * 450  # Thursday, Friday, Monday, Tuesday
    assert (allocation["workspace_resource_id"], allocation["workspace_id"]) == (place["id"], "55")
    assert (place["user_id"], place["role_id"], allocation["hard"]) == ("7", "2", True)


def test_a_second_assignment_of_a_person_uses_the_place_they_have(kantata_sandbox: Any, psa: Kantata) -> None:
    first, second = psa.perform(assign()), psa.perform(assign(key="assign-2", starts_on="2026-11-09"))
    psa.perform(assign(person="8", key="assign-3"))
    records = kantata_sandbox.state()["records"]
    assert first != second
    assert (records["workspace_resources"], records["workspace_allocations"]) == (2, 3)


@pytest.mark.parametrize("lost", ["workspace_resources", "workspace_allocations"])
def test_an_assignment_whose_answer_is_lost_goes_on_where_it_stopped(
    kantata_sandbox: Any, psa: Kantata, lost: str
) -> None:
    kantata_sandbox.arm(f"POST /api/v1/{lost}", "timeout_after_commit")
    with pytest.raises(UncertainOutcome):
        psa.perform(assign())
    found = psa.find(assign()) or psa.perform(assign())
    assert psa.find(assign()) == found
    records = kantata_sandbox.state()["records"]
    assert (records["workspace_resources"], records["workspace_allocations"]) == (1, 1)


def test_a_role_that_kantata_does_not_know_is_refused(kantata_sandbox: Any, psa: Kantata) -> None:
    with pytest.raises(Rejected, match="no role 'Astronaut'"):
        psa.perform(assign(role="Astronaut"))
    assert kantata_sandbox.state()["writes"] == 0


def test_demand_becomes_a_staffing_demand_and_is_found_again(kantata_sandbox: Any, psa: Kantata) -> None:
    assert psa.find(request()) is None
    made = psa.perform(request())
    assert psa.find(request()) == made
    assert psa.find(request(key="request")) is None  # a key that begins like ours is another
    (demand,) = held(kantata_sandbox, "staffing_demands")
    assert (demand["title"], demand["role_id"], demand["quantity"]) == ("Consultant · R-1", "2", 1)
    assert "sql" in demand["description"]


def test_two_demands_with_one_key_need_a_person(psa: Kantata) -> None:
    psa.perform(request())
    psa.perform(request())
    with pytest.raises(NeedsReview, match="1, 2 all carry request-1"):
        psa.find(request())


def test_a_milestone_is_moved_and_completed_and_told_by_its_state(kantata_sandbox: Any, psa: Kantata) -> None:
    story = {"id": "3", "title": "Go live", "story_type": "milestone", "workspace_id": "55"}
    kantata_sandbox.load({"stories": [story]})
    effect = milestone(is_done=True, due_on="2026-12-24")
    assert psa.find(effect) is None
    assert psa.perform(effect) == psa.perform(effect) == psa.find(effect) == "3"
    (((row,), _),) = psa.milestones(None)
    assert (row.record.is_done, str(row.record.due_on), row.record.title) == (True, "2026-12-24", "Go live")


def test_a_milestone_update_that_changes_nothing_is_a_configuration_error(psa: Kantata) -> None:
    with pytest.raises(ConfigurationError, match="changes nothing"):
        psa.perform(milestone())


@pytest.mark.parametrize("field", ["starts_on", "hours_per_day", "psa_person_id", "role"])
def test_a_payload_that_lacks_a_field_names_it_and_nothing_is_sent(
    kantata_sandbox: Any, psa: Kantata, field: str
) -> None:
    payload = {name: value for name, value in (WORK | {"psa_person_id": "7"}).items() if name != field}
    with pytest.raises(ConfigurationError, match=f"assign-1: the payload has no field '{field}'"):
        psa.perform(open_effect(key="assign-1", capability="assign_resource", payload=payload))
    assert kantata_sandbox.state()["writes"] == 0
