"""
BambooHR's wire behaviour as far as psflow meets it: XML unless asked for JSON, hidden fields, answers without a body.

Source: the vendor's OpenAPI description (bhr-api-python). Settings: `api_key` (the Basic user that is accepted),
`restricted` (names of fields that key may not see), `hang_s` (how long an armed time-out lasts). Seeds:
`employees` in the words of Get Employee, `"_action": "Deleted"` for a tombstone; `job_info` rows of that table with
`id` and `employeeId`; `time_off_requests` as they are read.
"""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import uuid
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.responses import Response

from psflow.sandbox.vendor_app import Call, Handler, Row, Shelf, build
from psflow.systems.bamboohr.sandbox_read import (
    ACTIONS,
    DATASET,
    JOB_FIELDS,
    changed,
    changed_table,
    dataset,
    present,
    refused,
    show,
    time_off,
)

ROOT = "/api/v1"
_STATES = ("approved", "requested", "denied", "canceled", "superceded")


def app(path: Path, token: str) -> Starlette:
    """Return the sandbox over its SQLite file; `token` opens the control routes."""
    return build(path, token, DIALECT)


class _BambooHR:
    sign_in: str | None = "/api/v2/datasets/employee/data"  # a POST that writes nothing; a key needs no sign-in
    read_only = True

    def __init__(self) -> None:
        self.routes: list[tuple[str, str, Handler]] = [
            ("POST", "/api/v2/datasets/{name}/data", dataset),
            ("GET", ROOT + "/employees/changed", changed),
            ("GET", ROOT + "/employees/changed/tables/{table}", changed_table),
            ("GET", ROOT + "/time_off/requests", time_off),
            ("GET", ROOT + "/employees/{id}", show),
            ("POST", ROOT + "/employees", _create),
            ("POST", ROOT + "/employees/{id}", _update),
        ]

    def refusal(self, status: int) -> Response:
        answer = refused(status, {429: "Limit exceeded", 503: "Service unavailable"}.get(status, "Internal error"))
        if status in (429, 503):
            answer.headers["Retry-After"] = "1"
        return answer

    def row(self, kind: str, record: dict[str, Any]) -> Row:
        if kind not in _ROWS or not str(record.get("id", "")).isdigit():
            raise ValueError(f"{kind} {record.get('id')!r}: the kind is unknown or the id is not a number")
        return _ROWS[kind](record)

    def guard(self, shelf: Shelf, call: Call) -> Response | None:
        scheme, _, given = call.headers.get("authorization", "").partition(" ")
        try:
            user = base64.b64decode(given, validate=True).partition(b":")[0]
        except ValueError:
            user = b""
        wanted = str(shelf.setting("api_key", "")).encode()
        if scheme != "Basic" or not wanted or not hmac.compare_digest(user, wanted):
            return refused(401, "Unauthorized")
        return None

    def finish(self, shelf: Shelf, response: Response) -> Response:
        response.headers["x-request-id"] = str(uuid.uuid4())
        return response


# -- what is kept


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def _employee(record: dict[str, Any]) -> Row:
    unknown = set(record) - {*DATASET.values(), "lastChanged", "_action"}
    if unknown or record.get("status", "Active") not in ("Active", "Inactive"):
        raise ValueError(
            f"employee {record['id']}: unknown fields {sorted(unknown)} or status {record.get('status')!r}"
        )
    body = {"status": "Active", "lastChanged": _now(), "_action": "Updated"} | record | {"id": str(record["id"])}
    if body["_action"] not in ACTIONS:
        raise ValueError(f"employee {record['id']}: _action is one of {', '.join(ACTIONS)}")
    stamp = dt.datetime.fromisoformat(body["lastChanged"]).astimezone(dt.UTC).isoformat(timespec="seconds")
    return Row(body["id"], stamp, body.get("employeeNumber"), body)


def _job(record: dict[str, Any]) -> Row:
    unknown = set(record) - {*JOB_FIELDS, "id", "employeeId"}
    if unknown or not str(record.get("employeeId", "")).isdigit():
        raise ValueError(f"job information {record['id']}: unknown fields {sorted(unknown)} or no employeeId")
    body = dict.fromkeys(JOB_FIELDS, "") | record
    return Row(str(record["id"]), str(body["date"]), str(record["employeeId"]), body)


def _request(record: dict[str, Any]) -> Row:
    if record["status"]["status"] not in _STATES or record["amount"]["unit"] not in ("hours", "days"):
        raise ValueError(f"request {record['id']}: status is one of {', '.join(_STATES)}, unit hours or days")
    days = sorted(record["dates"]) or [record["start"], record["end"]]
    body = {
        "name": "", "start": days[0], "end": days[-1], "created": days[0],
        "type": {"id": 78, "name": "Vacation", "icon": "palm-trees"}, "notes": {},
    } | record  # fmt: skip
    return Row(str(record["id"]), body["start"], body["end"], body)


_ROWS = {"employees": _employee, "job_info": _job, "time_off_requests": _request}


# -- writing


def _create(shelf: Shelf, call: Call) -> Response:
    key = str(shelf.next_number("employees"))
    refusal = _keep(shelf, call, {"id": key, "_action": "Inserted"})
    where = {"Location": f"/employees/employee.php?id={key}"}
    return refusal or Response(status_code=201, headers=where)


def _update(shelf: Shelf, call: Call) -> Response:
    body = present(shelf, call.args["id"])
    if body is None:
        return refused(404, "Employee not found")
    return _keep(shelf, call, body | {"_action": "Updated"}) or Response(status_code=200)


def _keep(shelf: Shelf, call: Call, body: dict[str, Any]) -> Response | None:
    try:
        given = {name: value for name, value in call.json().items() if name in set(DATASET.values()) - {"id"}}
        row = _employee(body | given | {"lastChanged": _now()})
    except (ValueError, AttributeError):
        return refused(400, "The JSON is malformed or a value is not valid")
    if not row.body.get("firstName") or not row.body.get("lastName"):
        return refused(400, "firstName and lastName are required")
    if row.link and shelf.count("employees", "link = ? AND id <> ?", [row.link, row.id]):
        return refused(409, "Duplicate employee number")
    shelf.put("employees", [row])
    return None


DIALECT = _BambooHR()
