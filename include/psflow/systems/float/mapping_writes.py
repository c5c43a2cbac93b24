"""What we write to Float: bodies of projects, placeholders and allocations, and how an allocation ends. Pure."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from psflow.systems.float.mapping import CONFIRMED, PLACEHOLDER, Booking, marker


def project(payload: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the body of a new project; its code is the key by which it is found again."""
    return {
        "name": payload.get("title") or payload["name"],
        "project_code": payload["project_code"],
        "status": CONFIRMED,
        "notes": marker(key),
    }


def placeholder(payload: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the body of the placeholder who stands for a request until somebody takes it."""
    where = f" · {payload['region']}" if payload.get("region") else ""
    return {
        "name": f"{payload['role']}{where} · {payload['project_code']}",
        "job_title": payload["role"],
        "people_type_id": PLACEHOLDER,
        "tags": [{"name": skill} for skill in payload.get("skills") or ()],
        "notes": f"region: {payload.get('region') or 'anywhere'}\n{marker(key)}",
    }


def booking(payload: dict[str, Any], key: str, people_id: int, status: int) -> dict[str, Any]:
    """Return the body of an allocation; hours stay Decimal, a number on the wire."""
    return {
        "people_id": people_id,
        "project_id": int(payload["planner_project_id"]),
        "start_date": payload["starts_on"],
        "end_date": payload["ends_on"],
        "hours": Decimal(payload["hours_per_day"]),
        "name": payload["role"],
        "status": status,
        "notes": marker(key),
    }


def ended(task: Booking, ends_on: dt.date) -> dict[str, Any]:
    """Return the fields that end an allocation on a day not before its start."""
    repeats = {"repeat_end_date": str(ends_on)} if task.repeat_state else {}
    return {"end_date": str(min(ends_on, task.end_date))} | repeats


def last_day(task: Booking) -> dt.date:
    """Return the last day an allocation may reach."""
    return (task.repeat_end_date or dt.date.max) if task.repeat_state else task.end_date
