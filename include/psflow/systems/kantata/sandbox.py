"""
Kantata OX's wire behaviour as far as psflow meets it: keyed maps, side loads, archived projects, no idempotency.

Source: developer.kantata.com and the vendor's own attribute lists (mavenlink_gem, specification.yml). Settings:
`bearer` (the token that is accepted), `search_lag_ms` (how long a new external reference stays invisible to a
look-up), `hang_s` (how long an armed time-out lasts). Seed ids are decimal strings.
"""

from __future__ import annotations

import hmac
import re
import time
import uuid
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response

from psflow.sandbox.vendor_app import Call, Handler, Row, Shelf, build
from psflow.systems.kantata.sandbox_read import (
    ASSOCIATIONS,
    STAMPED,
    SUBJECT,
    envelope,
    index,
    now,
    refused,
    row,
    seen,
    show,
)

ROOT = "/api/v1"


def _names(text: str) -> set[str]:
    return set(text.split())


_SINGULAR = {"workspaces": "workspace", "time_entries": "time_entry"}
_UPDATE = {
    "workspaces": _names(
        "title budgeted description archived access_level price start_date due_date rate_card_id currency "
        "target_margin status_key external_link stage time_trackable external_reference"
    ),
    "time_entries": _names(
        "workspace_id date_performed time_in_minutes billable notes rate_in_cents role_id story_id user_id "
        "location external_reference"
    ),
}
_CREATE = {
    "workspaces": _UPDATE["workspaces"] - {"archived"} | {"creator_role", "custom_fields", "participations"},
    "time_entries": _UPDATE["time_entries"],
}
_BASE_UNIT = {"JPY": 1, "KRW": 1}


def app(path: Path, token: str) -> Starlette:
    """Return the sandbox over its SQLite file; `token` opens the control routes."""
    return build(path, token, DIALECT)


class _Kantata:
    sign_in: str | None = None  # a bearer is made by hand and never expires

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
        body = dict(record, id=str(record["id"]))
        if kind == "workspaces":
            body = _workspace_defaults() | body
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


def _workspace_defaults() -> dict[str, Any]:
    return {"archived": False, "currency": "USD", "currency_base_unit": 100, "external_reference_ids": []}


def _page(shelf: Shelf, call: Call) -> Response:
    body = shelf.get("workspaces", call.args["id"])
    return JSONResponse(seen("workspaces", body, []) if body else None, 200 if body else 404)


def _given(call: Call, allowed: dict[str, set[str]]) -> dict[str, Any] | Response:
    """Return the permitted attributes of the wrapper; the vendor drops the others in silence."""
    kind = call.args["kind"]
    if kind not in allowed:
        return refused(403, "You are not authorized to perform this action")
    try:
        wrapper = call.json()[_SINGULAR[kind]]
        return {name: value for name, value in wrapper.items() if name in allowed[kind]}
    except (ValueError, KeyError, TypeError, AttributeError):
        return refused(400, f"param is missing or the value is empty: {_SINGULAR[kind]}")


def _create(shelf: Shelf, call: Call) -> Response:
    kind, given = call.args["kind"], _given(call, _CREATE)
    if isinstance(given, Response):
        return given
    if problem := _invalid(shelf, kind, given, given):
        return problem
    key, reference = str(shelf.next_number(kind)), given.pop("external_reference", None)
    body = {"id": key, "created_at": now(), "updated_at": now()} | (
        _workspace_defaults() if kind == "workspaces" else {"approved": False, "external_reference_ids": []}
    )
    body |= given
    body["currency_base_unit"] = _BASE_UNIT.get(str(body.get("currency")), 100)
    if reference:
        body["external_reference_ids"] = [_refer(shelf, kind, key, reference)]
    shelf.put(kind, [row(kind, body)])  # a second POST makes a second record: there is no idempotency key
    return envelope(shelf, kind, [body], call.query, {"count": 1}, 201)


def _change(shelf: Shelf, call: Call) -> Response:
    kind, given = call.args["kind"], _given(call, _UPDATE)
    if isinstance(given, Response):
        return given
    body = shelf.get(kind, call.args["id"])
    if body is None:
        return refused(404, "Not found")
    if problem := _invalid(shelf, kind, given, body | given):
        return problem
    if reference := given.pop("external_reference", None):
        given["external_reference_ids"] = [_refer(shelf, kind, body["id"], reference)]
    body |= given | {"updated_at": now()}
    shelf.put(kind, [row(kind, body)])
    return envelope(shelf, kind, [body], call.query, {"count": 1})


def _invalid(shelf: Shelf, kind: str, given: dict[str, Any], whole: dict[str, Any]) -> Response | None:
    if kind == "workspaces":
        if not whole.get("title"):
            return refused(422, "Title can't be blank", "validation", "title")
        if "id" not in whole and whole.get("creator_role") not in ("maven", "buyer"):
            return refused(422, "Creator role is not included in the list", "validation", "creator_role")
        if given.get("rate_card_id") and shelf.get("rate_cards", str(given["rate_card_id"])) is None:
            return refused(422, "Rate card is invalid", "validation", "rate_card_id")
        wrong = [
            f
            for f in ("start_date", "due_date")
            if not re.fullmatch(r"\d{4}-\d\d-\d\d", str(given.get(f) or "0000-00-00"))
        ]
        return refused(422, "is not a date", "validation", wrong[0]) if wrong else None
    for field in ("workspace_id", "date_performed", "time_in_minutes"):
        if whole.get(field) is None:
            return refused(422, f"{field} can't be blank", "validation", field)
    if shelf.get("workspaces", str(whole["workspace_id"])) is None:
        return refused(422, "Workspace must exist", "validation", "workspace_id")
    return None


def _refer(shelf: Shelf, kind: str, subject: str, given: dict[str, Any]) -> str:
    """Add or replace the subject's one reference to a service and return its id."""
    head = {"subject_type": SUBJECT[kind], "subject_id": subject, "service_name": str(given["service_name"])}
    mine = " AND ".join(f"json_extract(body, '$.{name}') = ?" for name in head)
    old = shelf.select("external_references", mine, list(head.values()))
    key = old[0]["id"] if old else str(shelf.next_number("external_references"))
    body = {"id": key, "status": None, "locked": False, "created_at": now()} | (old[0] if old else {}) | given | head
    shelf.put("external_references", [row("external_references", body | {"updated_at": now(), "_born": time.time()})])
    return key


def _tag(shelf: Shelf, call: Call) -> Response:
    given = (call.json() or {}).get("external_reference", {})
    kind = {subject: kind for kind, subject in SUBJECT.items()}.get(str(given.get("subject_type")), "")
    subject = shelf.get(kind, str(given.get("subject_id"))) if kind else None
    if subject is None or not all(given.get(f) for f in ("service_name", "service_model", "service_model_ref")):
        return refused(422, "Subject, service name, model and ref can't be blank", "validation")
    key = _refer(shelf, kind, subject["id"], given)
    subject["external_reference_ids"] = sorted({*subject.get("external_reference_ids", []), key})
    shelf.put(kind, [row(kind, subject)])
    return envelope(
        shelf, "external_references", shelf.select("external_references", "id = ?", [key]), {}, {"count": 1}
    )


DIALECT = _Kantata()
