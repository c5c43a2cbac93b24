"""
Float's wire behaviour as far as psflow meets it: who asks must say so, arrays without an envelope, no idempotency.

Source: developer.float.com, API v3; where it is silent the sandbox takes the reading that is worse for a client.
Settings: `token` (the bearer that is accepted), `search_lag_ms` (how long a new record stays out of lists),
`pagination_headers` (false: none are sent), `hang_s` (how long an armed time-out lasts). Seed ids are numbers, but of
logged time, which are hexadecimal text.
"""

from __future__ import annotations

import datetime as dt
import hmac
import re
import uuid
from pathlib import Path
from typing import Any, ClassVar

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response

from psflow.sandbox.vendor_app import Call, Handler, Row, Shelf, build, shows_from
from psflow.systems.float.sandbox_read import KEYS, index, invalid, refused, seen, show

ROOT = "/v3"
_AGENT = re.compile(r".+ \(\S+@\S+\)")


def _names(text: str) -> set[str]:
    return set(text.split())


_TAKEN = {
    "people": _names(
        "name email job_title role_id department_id tags notes employee_type people_type_id active start_date end_date "
        "work_days_hours cost_rate default_hourly_rate region_id"
    ),
    "projects": _names(
        "name project_code client_id color notes tags status active non_billable budget_type budget_total "
        "default_hourly_rate stage_id"
    ),
    "tasks": _names(
        "project_id phase_id people_id people_ids start_date end_date start_time hours status name task_meta_id notes "
        "repeat_state repeat_end_date"
    ),
    "clients": _names("name"),
    "logged-time": _names("people_id project_id phase_id task_id task_meta_id date hours billable notes"),
}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "people": {
        "email": None, "job_title": None, "people_type_id": 1, "employee_type": 1, "active": 1, "tags": [],
        "work_days_hours": [0, 8, 8, 8, 8, 8, 0], "work_days_hours_history": [], "cost_rate": None, "notes": None,
        "start_date": None, "end_date": None,
    },
    "projects": {
        "project_code": None, "client_id": None, "active": 1, "status": 2, "notes": None, "budget_type": 0,
        "non_billable": 0,
    },
    "tasks": {
        "phase_id": None, "people_id": None, "people_ids": None, "status": 2, "name": "", "notes": None,
        "repeat_state": 0, "repeat_end_date": None,
    },
    "clients": {},
    "logged-time": {"notes": None, "billable": 1, "locked": 0},
}  # fmt: skip
_NEEDED = {
    "people": ("name",), "projects": ("name",), "clients": ("name",),
    "tasks": ("project_id", "start_date", "end_date", "hours"),
    "logged-time": ("people_id", "project_id", "date", "hours"),
}  # fmt: skip


def app(path: Path, token: str) -> Starlette:
    """Return the sandbox over its SQLite file; `token` opens the control routes."""
    return build(path, token, DIALECT)


class _Float:
    sign_in: str | None = None  # a token is made by hand and stays
    weather: ClassVar = {"slow_index": ("POST " + ROOT,)}

    def __init__(self) -> None:
        one = ROOT + "/{kind}/{id}"
        self.routes: list[tuple[str, str, Handler]] = [
            ("GET", ROOT + "/{kind}", index),
            ("POST", ROOT + "/{kind}", _create),
            ("GET", one, show),
            ("PATCH", one, _change),
            ("PUT", one, _change),  # partial too
            ("DELETE", one, _delete),
            ("GET", "/", _page),
            ("GET", "/projects", _page),
        ]

    def refusal(self, status: int) -> Response:
        text = {429: "You have sent too many requests.", 503: "Service unavailable."}.get(status, "Internal error.")
        return refused(status, text)  # a 429 does not say when to come back

    def row(self, kind: str, record: dict[str, Any]) -> Row:
        key = str(record.get(KEYS.get(kind, ""), ""))
        if not re.fullmatch(r"[0-9a-f]+" if kind == "logged-time" else r"\d+", key):
            raise ValueError(f"{kind} {key!r}: the kind is unknown or its {KEYS.get(kind, 'id')} is none")
        body = {"created": _now(), "modified": _now()} | _DEFAULTS[kind] | record
        return _row(kind, body | {KEYS[kind]: key if kind == "logged-time" else int(key)})

    def guard(self, shelf: Shelf, call: Call) -> Response | None:
        if not call.path.startswith(ROOT):
            return None  # stands for the pages behind the vendor's own login
        if not _AGENT.fullmatch(call.headers.get("user-agent", "")):
            return refused(400, "A User-Agent with the name of your app and a contact address is required.")
        given, wanted = call.headers.get("authorization", ""), f"Bearer {shelf.setting('token', '')}"
        if wanted == "Bearer " or not hmac.compare_digest(given.encode(), wanted.encode()):
            return refused(401, "Your request was made with invalid credentials.")
        return None

    def finish(self, shelf: Shelf, response: Response) -> Response:
        response.headers["x-request-id"] = str(uuid.uuid4())
        return response


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M:%S")


def _row(kind: str, body: dict[str, Any]) -> Row:
    link = body.get("project_id") if kind == "tasks" else None
    return Row(str(body[KEYS[kind]]), body["modified"], str(link) if link else None, body)


def _page(shelf: Shelf, call: Call) -> Response:
    body = shelf.get("projects", call.query["project"]) if "project" in call.query else {}
    return JSONResponse(body, 404 if body is None else 200)


def _given(call: Call) -> dict[str, Any] | Response:
    """Return the fields the kind takes; others are dropped in silence."""
    kind = call.args["kind"]
    if kind not in KEYS:
        return refused(404, "Page not found.")
    try:
        return {name: value for name, value in call.json().items() if name in _TAKEN[kind]}
    except (ValueError, AttributeError):
        return refused(400, "Invalid JSON data in request body.")


def _create(shelf: Shelf, call: Call) -> Response:
    kind, given = call.args["kind"], _given(call)
    if isinstance(given, Response):
        return given
    body = _DEFAULTS[kind] | given | {"created": _now(), "modified": _now(), "_born": shows_from(shelf, call)}
    body[KEYS[kind]] = uuid.uuid4().hex if kind == "logged-time" else shelf.next_number(kind)
    return _kept(shelf, kind, body, 201)  # a second POST makes a second record: there is no idempotency key


def _change(shelf: Shelf, call: Call) -> Response:
    kind, given = call.args["kind"], _given(call)
    if isinstance(given, Response):
        return given
    body = shelf.get(kind, call.args["id"])
    if body is None:
        return refused(404, "Object not found.")
    return _kept(shelf, kind, body | given | {"modified": _now()}, 200)


def _delete(shelf: Shelf, call: Call) -> Response:
    kind = call.args["kind"]
    if kind not in KEYS or shelf.get(kind, call.args["id"]) is None:
        return refused(404, "Object not found.")
    shelf.delete(kind, call.args["id"])  # no tombstone
    return Response(status_code=204)


def _kept(shelf: Shelf, kind: str, body: dict[str, Any], status: int) -> Response:
    problems = {f: f"{_label(f)} cannot be blank." for f in _NEEDED[kind] if body.get(f) in (None, "")}
    problems |= _wrong(shelf, kind, body) if not problems else {}
    if problems:
        return invalid(**problems)
    shelf.put(kind, [_row(kind, body)])
    return JSONResponse(seen(body), status)


def _wrong(shelf: Shelf, kind: str, body: dict[str, Any]) -> dict[str, str]:
    wrong: dict[str, str] = {}
    if kind == "projects" and len(str(body.get("project_code") or "")) > 32:
        wrong["project_code"] = "Project Code should contain at most 32 characters."
    if kind == "people" and (body["people_type_id"] not in (1, 2, 3) or body["active"] not in (0, 1)):
        wrong["people_type_id"] = "People Type is invalid."
    if kind == "tasks":
        wrong |= _wrong_booking(shelf, body)
    return wrong


def _wrong_booking(shelf: Shelf, body: dict[str, Any]) -> dict[str, str]:
    wrong: dict[str, str] = {}
    booked = body["people_ids"] or [body["people_id"]]
    if any(shelf.get("people", str(person)) is None for person in booked):
        wrong["people_id"] = "People Id is invalid."
    if shelf.get("projects", str(body["project_id"])) is None:
        wrong["project_id"] = "Project Id is invalid."
    if isinstance(body["hours"], str) or not 0 < body["hours"] <= 24:
        wrong["hours"] = "Hours must be a number."
    for name in ("start_date", "end_date"):
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", str(body[name])):
            wrong[name] = f"The format of {_label(name)} is invalid."
    if str(body["end_date"]) < str(body["start_date"]):
        wrong["end_date"] = "End Date must not be before Start Date."
    return wrong


def _label(field: str) -> str:
    return field.replace("_", " ").title()


DIALECT = _Float()
