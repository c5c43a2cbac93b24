"""The reading half of the BambooHR sandbox: the people dataset, changes, one employee, time off, and how it answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from starlette.responses import JSONResponse, Response

from psflow.sandbox.vendor_app import Call, Shelf

DATASET = {  # the dataset's word -> Get Employee's
    "eeid": "id", "employeeNumber": "employeeNumber", "firstName": "firstName", "lastName": "lastName",
    "email": "workEmail", "jobInformationLocation": "location", "jobInformationJobTitle": "jobTitle",
    "hireDate": "hireDate", "terminationDate": "terminationDate", "status": "status",
}  # fmt: skip
JOB_FIELDS = ("date", "location", "department", "division", "jobTitle", "reportsTo")
ACTIONS = ("Inserted", "Updated", "Deleted")
_DATES = ("hireDate", "terminationDate")


def refused(status: int, why: str) -> Response:
    return Response(status_code=status, headers={"X-BambooHR-Error-Message": why})  # the body says nothing


def problem(status: int, code: str, detail: str) -> Response:
    body = {"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code}
    return JSONResponse(body, status, media_type="application/problem+json")


def answer(call: Call, name: str, body: Any) -> Response:
    if "application/json" in call.headers.get("accept", ""):
        return JSONResponse(body)
    return Response(ElementTree.tostring(_xml(name, body), xml_declaration=True), media_type="application/xml")


def _xml(name: str, value: Any) -> ElementTree.Element:
    element = ElementTree.Element(name)
    if isinstance(value, dict):
        element.extend(_xml("item" if key[0].isdigit() else key, inner) for key, inner in value.items())
    elif isinstance(value, list):
        element.extend(_xml("item", inner) for inner in value)
    elif value is not None:
        element.text = str(value)
    return element


def _seen(body: dict[str, Any], field: str) -> str:
    return str(body.get(field) or ("0000-00-00" if field in _DATES else ""))


def dataset(shelf: Shelf, call: Call) -> Response:
    if call.args["name"] != "employee":
        return problem(404, "DATASET_NOT_FOUND", f"Dataset {call.args['name']} is not accessible")
    try:
        wish = {"page": 1, "pageSize": 100, "orderBy": None, "filter": None} | call.json()
        fields = [str(name) for name in wish["fields"]]
        page, size = int(wish["page"]), int(wish["pageSize"])
    except (ValueError, KeyError, TypeError):
        return problem(400, "INVALID_ARGUMENT", "fields is required")
    if wrong := _wrong(fields, wish, page, size):
        return wrong
    rows = _ordered(shelf, wish["orderBy"])
    hidden = {name for name in fields if DATASET[name] in shelf.setting("restricted", [])}
    pages = max(1, -(-len(rows) // size))
    data = [
        {
            "fields": {name: "" if name in hidden else _seen(body, DATASET[name]) for name in fields},
            "_restrictedFields": [f"employee_{name}" for name in fields if name in hidden],
        }
        for body in rows[(page - 1) * size : page * size]
    ]
    links = {"next": page + 1} if page < pages else {}
    links |= {"prev": page - 1} if page > 1 else {}
    meta = {"page": page, "pageSize": size, "totalPages": pages, "totalItems": len(rows)}
    return JSONResponse({"data": data, "links": {k: f"{call.path}?page={n}" for k, n in links.items()}, "meta": meta})


def _wrong(fields: list[str], wish: dict[str, Any], page: int, size: int) -> Response | None:
    if not fields:
        return problem(400, "INVALID_ARGUMENT", "fields is required")
    if wish["orderBy"] and any(rule.split()[0] not in fields for rule in wish["orderBy"].split(",")):
        return problem(400, "UE-1001", "orderBy fields must be in fields")
    for name in fields:
        if name not in DATASET:
            return problem(400, "INVALID_ARGUMENT", f"Invalid field name: employee_{name}")
    if page < 1 or not 1 <= size <= 1000:
        return problem(422, "INVALID_PAGINATION", "page is at least 1, pageSize 1 to 1000")
    if wish["filter"]:
        return problem(422, "INVALID_FILTER", "this sandbox does not filter")
    return None


def _ordered(shelf: Shelf, rules: str | None) -> list[dict[str, Any]]:
    """Return the people; without orderBy in an order of the vendor's own, another one each time."""
    rows = shelf.select("employees", "json_extract(body, '$._action') <> 'Deleted'", [], "ORDER BY random()")
    for rule in reversed(rules.split(",") if rules else []):
        field, _, way = rule.strip().partition(" ")
        rows.sort(key=_by(field), reverse=way == "desc")
    return rows


def _by(field: str) -> Callable[[dict[str, Any]], int | str]:
    return lambda body: int(body["id"]) if field == "eeid" else _seen(body, DATASET[field])


def changed_table(shelf: Shelf, call: Call) -> Response:
    """Answer with all rows of whoever changed in any field, of the one table that is kept here."""
    if call.args["table"] != "jobInfo":
        return refused(404, "The specified table does not exist")
    try:
        since = dt.datetime.fromisoformat(call.query["since"]).astimezone(dt.UTC)
    except (KeyError, ValueError):
        return refused(400, "since is missing or no ISO 8601 time stamp")
    people = shelf.select("employees", "stamp > ?", [since.isoformat(timespec="seconds")], "ORDER BY stamp")
    seen = [name for name in JOB_FIELDS if name not in shelf.setting("restricted", [])]
    tables = {
        body["id"]: {"lastChanged": body["lastChanged"], "rows": [
            {"id": job["id"], "employeeId": job["employeeId"]} | {name: job[name] for name in seen}
            for job in shelf.select("job_info", "link = ?", [body["id"]], "ORDER BY random()")
        ]}
        for body in people if body["_action"] != "Deleted"
    }  # fmt: skip
    return answer(call, "table", {"table": "jobInfo", "employees": tables or []})


def changed(shelf: Shelf, call: Call) -> Response:
    try:
        since = dt.datetime.fromisoformat(call.query["since"]).astimezone(dt.UTC)
        wanted = {"all": ACTIONS}.get(kind := call.query.get("type", "all"), (kind.capitalize(),))
    except (KeyError, ValueError):
        return refused(400, "since is missing or no ISO 8601 time stamp")
    if not set(wanted) <= set(ACTIONS):
        return refused(400, "type is one of inserted, updated, deleted, all")
    rows = shelf.select("employees", "stamp > ?", [since.isoformat(timespec="seconds")], "ORDER BY stamp")
    found = [body for body in rows if body["_action"] in wanted]
    people = {b["id"]: {"id": b["id"], "action": b["_action"], "lastChanged": b["lastChanged"]} for b in found}
    latest = found[-1]["lastChanged"] if found else call.query["since"]
    return answer(call, "employees", {"latest": latest, "employees": people or []})  # PHP: an empty map is a list


def show(shelf: Shelf, call: Call) -> Response:
    body = present(shelf, call.args["id"])
    if body is None:
        return refused(404, "Employee not found")
    fields = call.query.get("fields", "firstName,lastName").split(",")
    if len(fields) > 400:
        return refused(400, "Too many fields")
    known = [f for f in fields if f in DATASET.values() and f not in shelf.setting("restricted", [])]
    return answer(call, "employee", {"id": body["id"]} | {f: _seen(body, f) for f in known})


def present(shelf: Shelf, record_id: str) -> dict[str, Any] | None:
    body = shelf.get("employees", record_id)
    return None if body is None or body["_action"] == "Deleted" else body


def time_off(shelf: Shelf, call: Call) -> Response:
    query = call.query
    try:
        start, end = (dt.date.fromisoformat(query[name]).isoformat() for name in ("start", "end"))
    except (KeyError, ValueError):
        return refused(400, "start and end are required as YYYY-MM-DD")
    found = shelf.select("time_off_requests", "stamp <= ? AND link >= ?", [end, start], "ORDER BY length(id), id")
    if "status" in query:
        found = [r for r in found if r["status"]["status"] in query["status"].split(",")]
    if "employeeId" in query:
        found = [r for r in found if str(r["employeeId"]) == query["employeeId"]]
    without = {"notes"} if query.get("excludeNote") else set()
    body = [
        {name: value for name, value in request.items() if name not in without} | {"dates": request["dates"] or []}
        for request in found
    ]
    return answer(call, "requests", body)
