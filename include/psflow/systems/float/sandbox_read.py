"""The reading half of the Float sandbox: bare arrays with counted pages, filters, and the shapes of its refusals."""

from __future__ import annotations

import re
import time
from typing import Any

from starlette.responses import JSONResponse, Response

from psflow.sandbox.vendor_app import Call, Shelf

KEYS = {
    "people": "people_id", "projects": "project_id", "tasks": "task_id", "clients": "client_id",
    "logged-time": "logged_time_id",
}  # fmt: skip
_TEXT = {"email", "project_code", "logged_time_id"}
_FILTERS = {
    "people": {"active", "department_id", "email", "people_type_id", "employee_type"},
    "projects": {"active", "client_id"},
    "tasks": {"client_id", "project_id", "phase_id", "task_meta_id", "billable", "status"},
    "clients": set[str](),
    "logged-time": {"people_id", "project_id", "task_id"},
}
_WINDOW = {  # kind -> parameter, column, how they compare: what overlaps the window
    "tasks": (("start_date", "end_date", ">="), ("end_date", "start_date", "<=")),
    "logged-time": (("start_date", "date", ">="), ("end_date", "date", "<=")),
}


def refused(status: int, message: str) -> Response:
    if status == 401:
        return JSONResponse({"message": message}, status)
    name = {404: "Not Found", 429: "Too Many Requests", 400: "Bad Request"}.get(status, "Server Error")
    return JSONResponse({"name": name, "message": message, "code": 0, "status": status}, status)


def invalid(**problems: str) -> Response:
    return JSONResponse([{"field": field, "message": message} for field, message in problems.items()], 422)


def seen(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if not name.startswith("_")}


def index(shelf: Shelf, call: Call) -> Response:
    kind, query = call.args["kind"], call.query
    if kind not in KEYS:
        return refused(404, "Page not found.")
    try:
        where, values = _filters(shelf, kind, query)
        size, page = int(query.get("per-page", "50")), int(query.get("page", "1"))
    except ValueError as error:
        return refused(400, f"Invalid parameter: {error}")
    size, total = min(max(size, 1), 200), shelf.count(kind, where, values)
    pages = max(1, -(-total // size))
    page = min(max(page, 1), pages)  # a page behind the last is the last once more
    tail = f"ORDER BY {_order(kind, query.get('sort', ''))} LIMIT {size} OFFSET {size * (page - 1)}"
    told = {"Total-Count": total, "Page-Count": pages, "Current-Page": page, "Per-Page": size}
    headers = {f"X-Pagination-{name}": str(value) for name, value in told.items()}
    if not shelf.setting("pagination_headers", True):
        headers = {}
    return JSONResponse([seen(body) for body in shelf.select(kind, where, values, tail)], headers=headers)


def _filters(shelf: Shelf, kind: str, query: dict[str, str]) -> tuple[str, list[Any]]:
    """Return the condition of the filters this kind has; unknown parameters are ignored. Raises ValueError."""
    lag_s = shelf.setting("search_lag_ms", 0) / 1000
    parts, values = ["coalesce(json_extract(body, '$._born'), 0) <= ?"], list[Any]([time.time() - lag_s])
    if kind in ("people", "projects") and "active" not in query:
        parts.append("json_extract(body, '$.active') = 1")
    for name in sorted(_FILTERS[kind] & query.keys()):
        parts.append(f"json_extract(body, '$.{name}') = ?")
        values.append(query[name] if name in _TEXT else int(query[name]))
    if kind == "tasks" and "people_id" in query:
        booked = "EXISTS (SELECT 1 FROM json_each(body, '$.people_ids') WHERE value = ?)"
        parts.append(f"(json_extract(body, '$.people_id') = ? OR {booked})")
        values += [int(query["people_id"])] * 2
    for bound, column, sign in _WINDOW.get(kind, ()):
        if bound in query:  # the row's own days: where it repeats to does not count
            parts.append(f"json_extract(body, '$.{column}') {sign} ?")
            values.append(_shaped(query[bound], r"\d{4}-\d\d-\d\d", bound))
    if "modified_since" in query:
        parts.append("stamp >= ?")
        stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
        values.append(_shaped(query["modified_since"], stamp, "modified_since"))
    return " AND ".join(parts), values


def _shaped(value: str, pattern: str, name: str) -> str:
    if not re.fullmatch(pattern, value):
        raise ValueError(f"{name} {value!r}")
    return value


def _order(kind: str, wish: str) -> str:
    way, field = ("DESC", wish[1:]) if wish.startswith("-") else ("ASC", wish)
    column = {"modified": "stamp", "name": "json_extract(body, '$.name')"}.get(field)
    return (f"{column} {way}, " if column else "") + f"length(id) {way}, id {way}"


def show(shelf: Shelf, call: Call) -> Response:
    body = shelf.get(call.args["kind"], call.args["id"]) if call.args["kind"] in KEYS else None
    return JSONResponse(seen(body)) if body else refused(404, "Object not found.")
