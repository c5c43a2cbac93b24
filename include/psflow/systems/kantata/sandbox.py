"""
Kantata OX's wire behaviour as far as psflow meets it: keyed maps, side loads, archived projects, no idempotency.

Source: developer.kantata.com and the vendor's own attribute lists (mavenlink_gem, specification.yml). Settings:
`bearer` (the token that is accepted), `search_lag_ms` (how long a new external reference stays invisible to a
look-up), `template_lag_ms` (how long a template's stories take to appear), `hang_s` (how long an armed time-out
lasts). Seed ids are decimal strings; a seed template lists its stories under `_stories`.
"""

from __future__ import annotations

import hmac
import re
import time
import uuid
from pathlib import Path
from typing import Any, ClassVar

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response

from psflow.sandbox.vendor_app import Call, Handler, Row, Shelf, build, shows_from
from psflow.systems.kantata.sandbox_read import envelope, index, now, refused, row, seen, show
from psflow.systems.kantata.sandbox_shapes import (
    ASSOCIATIONS,
    CREATE,
    POINTS_TO,
    REQUIRED,
    REQUIRED_ONCE,
    SINGULAR,
    STAMPED,
    SUBJECT,
    UPDATE,
)

ROOT = "/api/v1"


_BASE_UNIT = {"JPY": 1, "KRW": 1}


def app(path: Path, token: str) -> Starlette:
    """Return the sandbox over its SQLite file; `token` opens the control routes."""
    return build(path, token, DIALECT)


class _Kantata:
    sign_in: str | None = None  # a bearer is made by hand and never expires
    weather: ClassVar = {"slow_index": ("POST " + ROOT,)}

    def __init__(self) -> None:
        one = ROOT + "/{kind}/{id}"
        self.routes: list[tuple[str, str, Handler]] = [
            ("POST", ROOT + "/external_references/create_or_update", _tag),
            ("GET", ROOT + "/{kind}", index),
            ("POST", ROOT + "/{kind}", _create),
            ("GET", one, show),
            ("PUT", one, _change),
            ("GET", "/workspaces/{id}", _page),
        ]

    def refusal(self, status: int) -> Response:
        text = {429: "Too many requests", 503: "Service unavailable"}.get(status, "Internal server error")
        return refused(status, text)  # a 429 has no Retry-After and no quota headers

    def row(self, kind: str, record: dict[str, Any]) -> Row:
        if kind not in ASSOCIATIONS or not str(record.get("id", "")).isdigit():
            raise ValueError(f"{kind} {record.get('id')!r}: the kind is unknown or the id is not a decimal string")
        body = _defaults(kind) | dict(record, id=str(record["id"]))
        if kind in STAMPED:
            body = {"created_at": record.get("updated_at", now()), "updated_at": now()} | body
        return row(kind, body)

    def guard(self, shelf: Shelf, call: Call) -> Response | None:
        given, wanted = call.headers.get("authorization", ""), f"Bearer {shelf.setting('bearer', '')}"
        if call.path.startswith("/workspaces/"):
            return None  # stands for the page behind the vendor's own login
        if wanted == "Bearer " or not hmac.compare_digest(given.encode(), wanted.encode()):
            return refused(401, "Invalid or missing OAuth token", "oauth")
        return None

    def finish(self, shelf: Shelf, response: Response) -> Response:
        response.headers["x-request-id"] = str(uuid.uuid4())
        return response


def _defaults(kind: str) -> dict[str, Any]:
    """Return what a record of this kind holds when nobody says otherwise."""
    money = {"currency": "USD", "currency_base_unit": 100}
    held: dict[str, dict[str, Any]] = {
        "workspaces": money | {"archived": False, "require_expense_approvals": True},
        "time_entries": {"approved": False},
        "expenses": money | {"is_invoiced": False, "is_billable": True, "receipt_id": None},
        "stories": {"state": "not started", "billable": True, "archived": False, "deleted_at": None, "due_date": None},
        "staffing_demands": {"quantity": 1, "status": "open"},
        "invoices": money | {"draft": False, "status": "new", "tax_rate": None},
    }
    refs: dict[str, Any] = {"external_reference_ids": []}
    return held.get(kind, {}) | (refs if kind in CREATE and "external_references" in ASSOCIATIONS[kind] else {})


def _page(shelf: Shelf, call: Call) -> Response:
    body = shelf.get("workspaces", call.args["id"])
    return JSONResponse(seen("workspaces", body, []) if body else None, 200 if body else 404)


def _given(call: Call, allowed: dict[str, set[str]]) -> dict[str, Any] | Response:
    """Return the permitted attributes of the wrapper; the vendor drops the others in silence."""
    kind = call.args["kind"]
    if kind not in allowed:
        return refused(403, "You are not authorized to perform this action")
    try:
        wrapper = call.json()[SINGULAR[kind]]
        given = {name: value for name, value in wrapper.items() if name in allowed[kind]}
    except (ValueError, KeyError, TypeError, AttributeError):
        return refused(400, f"param is missing or the value is empty: {SINGULAR[kind]}")
    if kind == "expenses" and "billable" in given:
        given["is_billable"] = given.pop("billable")  # written under one name, read under another
    return given | {name: str(given[name]) for name in POINTS_TO if given.get(name) is not None}


def _create(shelf: Shelf, call: Call) -> Response:
    kind, given = call.args["kind"], _given(call, CREATE)
    if isinstance(given, Response):
        return given
    if problem := _invalid(kind, given, given) or _dangling(shelf, given):
        return problem
    key, reference = str(shelf.next_number(kind)), given.pop("external_reference", None)
    body = {"id": key, "created_at": now(), "updated_at": now()} | _defaults(kind) | _stored(shelf, kind, given)
    if reference:
        ref = _refer(shelf, call, kind, key, reference)
        if "external_reference_ids" in body:
            body["external_reference_ids"] = [ref]
    shelf.put(kind, [row(kind, body)])  # a second POST makes a second record: there is no idempotency key
    if template := body.pop("_template", None):
        _copy_stories(shelf, str(template), key)
    return envelope(shelf, kind, [body], call.query, {"count": 1}, 201)


def _stored(shelf: Shelf, kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return what a create keeps of what it was given."""
    body = dict(given)
    if kind == "workspaces":
        body["_template"] = body.pop("project_tracker_template_id", None)
        for written_only in ("project_template_start_date", "creator_role", "custom_fields", "participations"):
            body.pop(written_only, None)
        body["currency_base_unit"] = _BASE_UNIT.get(str(body.get("currency")), 100)
    if kind == "expenses":
        project = shelf.get("workspaces", body["workspace_id"]) or {}
        body |= {name: project[name] for name in ("currency", "currency_base_unit") if name in project}
    if kind == "workspace_allocations":
        body["workspace_resource_id"] = body.pop("resource_id")
        body["workspace_id"] = (shelf.get("workspace_resources", body["workspace_resource_id"]) or {})["workspace_id"]
    return body


def _copy_stories(shelf: Shelf, template: str, project: str) -> None:
    """Copy a template's stories; the vendor does so behind the answer, so they show only after a while."""
    shown = time.time() + float(shelf.setting("template_lag_ms", 0)) / 1000
    for story in (shelf.get("project_templates", template) or {}).get("_stories", []):
        key = str(shelf.next_number("stories"))
        stamps = {"created_at": now(), "updated_at": now(), "_copied_at": shown}
        body = _defaults("stories") | story | stamps | {"id": key, "workspace_id": project}
        shelf.put("stories", [row("stories", body)])


def _change(shelf: Shelf, call: Call) -> Response:
    kind, given = call.args["kind"], _given(call, UPDATE)
    if isinstance(given, Response):
        return given
    body = shelf.get(kind, call.args["id"])
    if body is None:
        return refused(404, "Not found")
    if problem := _invalid(kind, given, body | given) or _dangling(shelf, given):
        return problem
    if reference := given.pop("external_reference", None):
        given["external_reference_ids"] = [_refer(shelf, call, kind, body["id"], reference)]
    body |= given | {"updated_at": now()}
    shelf.put(kind, [row(kind, body)])
    return envelope(shelf, kind, [body], call.query, {"count": 1})


def _invalid(kind: str, given: dict[str, Any], whole: dict[str, Any]) -> Response | None:
    if kind == "workspaces":
        if not whole.get("title"):
            return refused(422, "Title can't be blank", "validation", "title")
        if "id" not in whole and whole.get("creator_role") not in ("maven", "buyer"):
            return refused(422, "Creator role is not included in the list", "validation", "creator_role")
        wrong = [
            f
            for f in ("start_date", "due_date")
            if not re.fullmatch(r"\d{4}-\d\d-\d\d", str(given.get(f) or "0000-00-00"))
        ]
        return refused(422, "is not a date", "validation", wrong[0]) if wrong else None
    for field in REQUIRED[kind] if "id" in whole else (*REQUIRED[kind], *REQUIRED_ONCE.get(kind, ())):
        if whole.get(field) in (None, ""):
            return refused(422, f"{field} can't be blank", "validation", field)
    if kind == "stories" and whole["story_type"] not in ("task", "deliverable", "milestone", "issue"):
        return refused(422, "Story type is not included in the list", "validation", "story_type")
    return None


def _dangling(shelf: Shelf, given: dict[str, Any]) -> Response | None:
    for field, kind in POINTS_TO.items():
        if given.get(field) is not None and shelf.get(kind, str(given[field])) is None:
            what = field.removesuffix("_id").replace("_", " ").capitalize()
            return refused(422, f"{what} is invalid", "validation", field)
    return None


def _refer(shelf: Shelf, call: Call, kind: str, subject: str, given: dict[str, Any]) -> str:
    """Add or replace the subject's one reference to a service and return its id."""
    head = {"subject_type": SUBJECT[kind], "subject_id": subject, "service_name": str(given["service_name"])}
    mine = " AND ".join(f"json_extract(body, '$.{name}') = ?" for name in head)
    old = shelf.select("external_references", mine, list(head.values()))
    key = old[0]["id"] if old else str(shelf.next_number("external_references"))
    body = {"id": key, "status": None, "locked": False, "created_at": now()} | (old[0] if old else {}) | given | head
    body |= {"updated_at": now(), "_born": shows_from(shelf, call)}
    shelf.put("external_references", [row("external_references", body)])
    return key


def _tag(shelf: Shelf, call: Call) -> Response:
    given = (call.json() or {}).get("external_reference", {})
    kind = {subject: kind for kind, subject in SUBJECT.items()}.get(str(given.get("subject_type")), "")
    subject = shelf.get(kind, str(given.get("subject_id"))) if kind else None
    if subject is None or not all(given.get(f) for f in ("service_name", "service_model", "service_model_ref")):
        return refused(422, "Subject, service name, model and ref can't be blank", "validation")
    key = _refer(shelf, call, kind, subject["id"], given)
    subject["external_reference_ids"] = sorted({*subject.get("external_reference_ids", []), key})
    shelf.put(kind, [row(kind, subject)])
    return envelope(
        shelf, "external_references", shelf.select("external_references", "id = ?", [key]), {}, {"count": 1}
    )


DIALECT = _Kantata()
