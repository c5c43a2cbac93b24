"""The reading half of the Kantata sandbox: filters, pages, side loads, and the envelope of keyed maps."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import Any

from starlette.responses import JSONResponse, Response

from psflow.sandbox.vendor_app import Call, Row, Shelf
from psflow.systems.kantata.sandbox_shapes import ASSOCIATIONS, FROM_ARCHIVED, HIDDEN, STAMPED, SUBJECT


def now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def _sortable(stamp: str) -> str:
    return dt.datetime.fromisoformat(stamp).astimezone(dt.UTC).isoformat(timespec="microseconds")


def row(kind: str, body: dict[str, Any]) -> Row:
    link = _reference_key(body) if kind == "external_references" else None
    return Row(body["id"], _sortable(body["updated_at"]) if kind in STAMPED else "", link, body)


def _reference_key(reference: dict[str, Any]) -> str:
    names = ("subject_type", "service_name", "service_model", "service_model_ref")
    return json.dumps([str(reference[name]) for name in names])


def refused(status: int, message: str, kind: str = "system", field: str | None = None) -> Response:
    entry = {"type": kind, "message": message} | ({"field": field} if field else {})
    return JSONResponse({"errors": [entry]}, status)


def index(shelf: Shelf, call: Call) -> Response:
    kind, query = call.args["kind"], call.query
    if kind not in ASSOCIATIONS:
        return refused(404, "Not found")
    if kind == "external_references" and "subject_type" not in query:
        return refused(400, "subject_type is required")
    try:
        where, values = _filters(shelf, kind, query)
        size, skip = _window(query)
    except ValueError as error:
        return refused(400, f"Invalid parameter: {error}")
    total = shelf.count(kind, where, values)
    tail = f"ORDER BY {_order(kind, query.get('order', ''))} LIMIT {size} OFFSET {skip}"
    meta = {"count": total, "page_count": -(-total // size), "page_number": skip // size + 1, "page_size": size}
    return envelope(shelf, kind, shelf.select(kind, where, values, tail), query, {"count": total, "meta": meta})


def _window(query: dict[str, str]) -> tuple[int, int]:
    """Return (size, rows to skip): limit/offset win over page/per_page; 20 by default, 200 at most."""
    size = min(200, max(1, int(query.get("limit", query.get("per_page", "20")))))
    if "limit" in query or "offset" in query:
        return size, max(0, int(query.get("offset", "0")))
    return size, size * (max(1, int(query.get("page", "1"))) - 1)


def _order(kind: str, wish: str) -> str:
    field, _, way = wish.partition(":")
    column = {"updated_at": "stamp", "created_at": "json_extract(body, '$.created_at')", "id": None}.get(field)
    if not wish and kind in STAMPED:
        column, way = "stamp", "desc"
    way = "DESC" if way == "desc" else "ASC"
    return (f"{column} {way}, " if column else "") + f"length(id) {way}, id {way}"


def _filters(shelf: Shelf, kind: str, query: dict[str, str]) -> tuple[str, list[Any]]:
    """Return the condition of the filters this kind has. Unknown parameters are ignored. Raises ValueError."""
    parts: list[str] = ["true"]
    values: list[Any] = []

    def add(part: str, *more: Any) -> None:
        parts.append(part)
        values.extend(more)

    if "only" in query:
        wanted = query["only"].split(",")
        add(f"id IN ({', '.join('?' * len(wanted))})", *wanted)
    if kind in STAMPED and "updated_after" in query:
        add("stamp > ?", _sortable(query["updated_after"]))
    if kind in STAMPED and "updated_before" in query:
        add("stamp < ?", _sortable(query["updated_before"]))
    if kind == "workspaces":
        add(_archived(query))
    if kind in FROM_ARCHIVED and query.get(FROM_ARCHIVED[kind]) != "true":
        add(_OF_OPEN_WORKSPACES)
    if kind == "stories":
        add(_stories(query), time.time())
    if kind == "time_entries" and "approved" in query:
        add("json_extract(body, '$.approved') = ?", query["approved"] == "true")
    if kind == "time_entries" and "date_performed_between" in query:
        add("json_extract(body, '$.date_performed') BETWEEN ? AND ?", *query["date_performed_between"].split(":", 1))
    for field in ("workspace_id", "subject_type", "story_type"):
        if field in query and kind in _HAS[field]:
            wanted = query[field].split(",")
            add(f"json_extract(body, '$.{field}') IN ({', '.join('?' * len(wanted))})", *wanted)
    if kind in SUBJECT and "external_reference_service_name" in query:
        found = _subjects(shelf, kind, query)
        add(f"id IN ({', '.join('?' * len(found))})", *found)
    return " AND ".join(parts), values


_HAS = {
    "workspace_id": {kind for kind, known in ASSOCIATIONS.items() if "workspace" in known},
    "subject_type": {"external_references"},
    "story_type": {"stories"},
}
_OF_OPEN_WORKSPACES = (
    "coalesce(json_extract(body, '$.workspace_id'), '') NOT IN (SELECT w.id FROM record w "
    "WHERE w.kind = 'workspaces' AND coalesce(json_extract(w.body, '$.archived'), 0))"
)


def _stories(query: dict[str, str]) -> str:
    """Return what is shown: no archived or deleted story unless asked for, and a template's only once it is copied."""
    parts = ["coalesce(json_extract(body, '$._copied_at'), 0) <= ?"]
    if query.get("show_archived") != "true":
        parts.append("NOT coalesce(json_extract(body, '$.archived'), 0)")
    if query.get("show_deleted") != "true":
        parts.append("json_extract(body, '$.deleted_at') IS NULL")
    return " AND ".join(parts)


def _archived(query: dict[str, str]) -> str:
    mode = query.get("archived", "include" if query.get("include_archived") == "true" else "exclude")
    column = "coalesce(json_extract(body, '$.archived'), 0)"
    return {"include": "true", "only": column}.get(mode, f"NOT {column}")


def _subjects(shelf: Shelf, kind: str, query: dict[str, str]) -> list[str]:
    """Return the ids that visible references point to; a new one is invisible for the search lag."""
    key = {n: query.get(f"external_reference_{n}", "") for n in ("service_name", "service_model", "service_model_ref")}
    found = shelf.select("external_references", "link = ?", [_reference_key(key | {"subject_type": SUBJECT[kind]})])
    seen_before = time.time() - float(shelf.setting("search_lag_ms", 0)) / 1000
    return [str(r["subject_id"]) for r in found if r.get("_born", 0) <= seen_before]


def envelope(
    shelf: Shelf,
    kind: str,
    bodies: list[dict[str, Any]],
    query: dict[str, str],
    head: dict[str, Any],
    status: int = 200,
) -> Response:
    """Return `results` in order beside the keyed maps, side loads included."""
    include = [name for name in query.get("include", "").split(",") if name in ASSOCIATIONS[kind]]
    maps: dict[str, dict[str, Any]] = {kind: {b["id"]: seen(kind, b, include) for b in bodies}}
    for name in include:
        key, other = ASSOCIATIONS[kind][name]
        wanted = sorted({str(i) for b in bodies for i in _listed(b.get(key))})
        for body in shelf.select(other, f"id IN ({', '.join('?' * len(wanted))})", wanted):
            maps.setdefault(other, {})[body["id"]] = seen(other, body, [])
    results = [{"key": kind, "id": body["id"]} for body in bodies]
    return JSONResponse(head | {"results": results} | maps, status)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def seen(kind: str, body: dict[str, Any], include: list[str]) -> dict[str, Any]:
    hidden = {key for name, (key, _) in ASSOCIATIONS[kind].items() if kind in HIDDEN and name not in include}
    return {name: value for name, value in body.items() if name not in hidden and not name.startswith("_")}


def show(shelf: Shelf, call: Call) -> Response:
    kind, query = call.args["kind"], call.query
    where, values = _filters(shelf, kind, {"only": call.args["id"]} | query) if kind in ASSOCIATIONS else ("false", [])
    found = shelf.select(kind, where, values)  # the default filters hold here too: an archived workspace is a 404
    return envelope(shelf, kind, found, query, {"count": 1}) if found else refused(404, "Not found")
