"""Effects' payloads -> the bodies Kantata takes. Pure; absent values are left out, since null would overwrite."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from psflow.errors import ConfigurationError

ENGAGEMENT, ASSIGNMENT = "Engagement", "Assignment"


def reference(key: str, model: str) -> dict[str, str]:
    """Return the external reference a record of ours carries."""
    return {"service_name": "psflow", "service_model": model, "service_model_ref": key}


def workspace(payload: dict[str, Any], key: str, template_id: str | None) -> dict[str, Any]:
    """Return the body of a new workspace; the tasks of its template appear later."""
    fields = {
        "title": payload.get("title") or payload["name"],
        "creator_role": "maven",  # we are the provider
        "description": f"{payload['project_code']} · {payload['engagement_id']} · epoch {payload['epoch']}",
        "currency": payload.get("currency"),
        "rate_card_id": payload.get("rate_card_id"),
        "start_date": payload.get("starts_on"),
        "due_date": payload.get("ends_on"),
        "project_tracker_template_id": template_id,
        "project_template_start_date": payload.get("starts_on") if template_id else None,
        "external_reference": reference(key, ENGAGEMENT),
    }
    return {"workspace": _present(fields)}


def place(project: str, person: str, role_id: str, key: str) -> dict[str, Any]:
    """Return the body of a person's place on a workspace."""
    fields = {"workspace_id": project, "user_id": person, "role_id": role_id}
    return {"workspace_resource": fields | {"external_reference": reference(key, ASSIGNMENT)}}


def allocation(payload: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the fields of a firm allocation but its place: minutes are the sum over all days, Monday to Friday."""
    days = _working_days(payload["starts_on"], payload["ends_on"])
    fields = {
        "start_date": payload["starts_on"],
        "end_date": payload["ends_on"],
        "minutes": int((Decimal(payload["hours_per_day"]) * 60 * days).to_integral_value()),
        "hard": True,
        "notes": payload.get("request_id"),
        "external_reference": reference(key, ASSIGNMENT),
    }
    return _present(fields)


def demand(payload: dict[str, Any], key: str, role_id: str) -> dict[str, Any]:
    """Return the body of a staffing demand. Its first line is our key, by which it is found again."""
    wishes = [", ".join(payload.get("skills") or ()), payload.get("region"), f"{payload['hours_per_day']} h a day"]
    fields = {
        "title": f"{payload['role']} · {payload['request_id']}",
        "description": f"{key}\n{' · '.join(wish for wish in wishes if wish)}",
        "start_date": payload["starts_on"],
        "end_date": payload["ends_on"],
        "quantity": 1,
        "workspace_id": str(payload["psa_project_id"]),
        "role_id": role_id,
    }
    return {"staffing_demand": fields}


def carries(description: str | None, key: str) -> bool:
    """Tell whether a staffing demand is the one made under this key."""
    return (description or "").split("\n")[0] == key


def milestone(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a milestone to change. Raises ConfigurationError when there are none."""
    state = {None: None, True: "completed", False: "started"}[payload.get("is_done")]
    fields = _present({"title": payload.get("title"), "due_date": payload.get("due_on"), "state": state})
    if not fields:
        raise ConfigurationError("kantata: update_milestone changes nothing; give it title, due_on or is_done")
    return fields


def _working_days(first: str, last: str) -> int:
    start, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    return sum((start + dt.timedelta(days=n)).weekday() < 5 for n in range((end - start).days + 1))


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
