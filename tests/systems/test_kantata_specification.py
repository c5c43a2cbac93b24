"""What the Kantata sandbox answers, takes and points to is what the vendor's own specification lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from ruamel.yaml import YAML

from psflow.systems.kantata.sandbox_shapes import ASSOCIATIONS, CREATE, REQUIRED, REQUIRED_ONCE, UPDATE

SPECIFICATION: dict[str, Any] = YAML(typ="safe").load(Path(__file__).parent / "specs/kantata/specification.yml")
ALWAYS = {"id", "created_at", "updated_at", "external_reference_ids"}  # the list forgets them where they do exist
BODIES: dict[str, dict[str, Any]] = {
    "workspaces": {"title": "T", "creator_role": "maven", "currency": "JPY", "project_tracker_template_id": "9"},
    "stories": {"title": "Kickoff", "story_type": "milestone", "workspace_id": "1"},
    "time_entries": {"workspace_id": "1", "date_performed": "2026-11-04", "time_in_minutes": 60},
    "expenses": {"workspace_id": "1", "date": "2026-11-04", "category": "Travel", "amount_in_cents": 1, "billable": 1},
    "workspace_resources": {"workspace_id": "1", "user_id": "7", "role_id": "2"},
    "workspace_allocations": {
        "resource_id": "1", "start_date": "2026-11-02", "end_date": "2026-11-06", "minutes": 2400, "hard": True,
    },
    "staffing_demands": {"title": "Architect", "workspace_id": "1", "role_id": "2"},
}  # fmt: skip
NEEDED = {kind: {*REQUIRED.get(kind, ()), *REQUIRED_ONCE.get(kind, ())} for kind in BODIES}
NEEDED["workspaces"] = {"title", "creator_role"}  # tests/systems/test_vendor_sandboxes.py
SEEDS: dict[str, list[dict[str, Any]]] = {
    "roles": [{"id": "2", "name": "Consultant"}],
    "users": [{"id": "7", "full_name": "Ann Lee", "email_address": "ann@example.com", "role_id": "2"}],
    "skills": [{"id": "3", "name": "SQL"}],
    "skill_memberships": [{"id": "4", "skill_id": "3", "user_id": "7", "level": 2, "cached_skill_name": "SQL"}],
    "fixed_fee_items": [{"id": "5", "amount_in_cents": 100000, "currency": "USD", "workspace_id": "1"}],
    "additional_items": [{"id": "6", "amount_in_cents": -500, "currency": "USD", "workspace_id": "1"}],
    "billing_milestones": [{"id": "7", "amount_in_cents": 5, "title": "Go-live", "workspace_id": "1"}],
    "time_adjustments": [{"id": "8", "time": 30, "currency": "USD"}],
    "invoices": [{"id": "9", "time_entry_ids": ["1"], "fixed_fee_item_ids": ["5"], "workspace_ids": ["1"]}],
    "project_templates": [{"id": "9", "title": "Rollout", "_stories": [{"title": "Go", "story_type": "task"}]}],
}


@pytest.fixture
def filled(kantata_sandbox: Any) -> Any:
    """Return a sandbox with one record of every kind, those that can be made over HTTP made so."""
    kantata_sandbox.load(SEEDS)
    reference = {"service_name": "psflow", "service_model": "Engagement", "service_model_ref": "k"}
    for kind, body in BODIES.items():
        singular = {"stories": "story", "time_entries": "time_entry"}.get(kind, kind[:-1])
        answer = ask(kantata_sandbox, "POST", kind, {singular: body | {"external_reference": reference}})
        assert answer.status_code == 201, answer.text
    return kantata_sandbox


def ask(sandbox: Any, verb: str, path: str, body: Any = None) -> requests.Response:
    headers = {"Authorization": "Bearer swordfish"}
    return requests.request(verb, f"{sandbox.url}/api/v1/{path}", headers=headers, json=body, timeout=5)


def readable(kind: str) -> set[str]:
    known = SPECIFICATION[kind]
    keys = {each["foreign_key"] for each in known.get("associations", {}).values()}
    return set(known["attributes"]) | keys | ALWAYS


@pytest.mark.parametrize("kind", [*BODIES, *SEEDS])
def test_every_attribute_of_an_answer_is_in_the_specification(filled: Any, kind: str) -> None:
    include = ",".join(ASSOCIATIONS[kind])
    answer = ask(filled, "GET", f"{kind}?include={include}").json()
    assert answer["results"]
    for result in answer["results"]:
        record = answer[result["key"]][result["id"]]
        assert set(record) <= readable(kind), set(record) - readable(kind)
    maps = set(answer) - {"count", "meta", "results"}
    collections = {each["collection"] for each in SPECIFICATION[kind].get("associations", {}).values()}
    assert maps <= collections | {kind}


@pytest.mark.parametrize("kind", [k for k in ASSOCIATIONS if ASSOCIATIONS[k]])
def test_every_association_points_where_the_specification_says(kind: str) -> None:
    for name, (key, collection) in ASSOCIATIONS[kind].items():
        if name != "external_references":  # documented for all; the list has it for most
            assert SPECIFICATION[kind]["associations"][name] == {"foreign_key": key, "collection": collection}, name


@pytest.mark.parametrize("kind", BODIES)
def test_a_create_and_an_update_take_no_more_than_the_specification(kind: str) -> None:
    known = SPECIFICATION[kind]
    assert CREATE[kind] <= set(known["create_attributes"])
    assert UPDATE[kind] <= set(known["update_attributes"])
    for names, rule in known.get("validations", {}).items():
        needed = {names} if isinstance(names, str) else set(names)
        assert not rule.get("presence") or needed <= NEEDED[kind], needed - NEEDED[kind]
