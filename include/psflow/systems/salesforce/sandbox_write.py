"""
The writing half of the Salesforce sandbox: one record, or a collection of which each may fail on its own.

Source: REST API Developer Guide v62.0, sObject Rows and sObject Collections.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, NamedTuple

from starlette.responses import JSONResponse, Response

from psflow.sandbox.vendor_app import Call, Shelf
from psflow.systems.salesforce.sandbox_query import (
    EXTERNAL,
    FIELDS,
    PREFIX,
    READ_ONLY,
    ROOT,
    STAMPS,
    id18,
    refused,
    row,
)

_REQUIRED = {"Account": ("Name",), "Opportunity": ("Name", "StageName", "CloseDate")}
_MOST = 200  # records of one collection


class _Refusal(NamedTuple):
    """Why one record was not written."""

    status: int
    code: str
    message: str
    fields: list[str] | None = None


Outcome = dict[str, Any] | _Refusal
_LOCKED = _Refusal(400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record", [])


def create(shelf: Shelf, call: Call) -> Response:
    return _answer(_with(call, lambda given: _create(shelf, call.args["kind"], given)), 201)


def update(shelf: Shelf, call: Call) -> Response:
    done = _with(call, lambda given: _update(shelf, call.args["kind"], call.args["id"], given))
    return _answer(done, 204)


def upsert(shelf: Shelf, call: Call) -> Response:
    kind, field, value = call.args["kind"], call.args["field"], call.args["value"]
    found = shelf.ids(kind, "link = ?", [value], "ORDER BY id") if field in EXTERNAL.get(kind, set()) else []
    if len(found) > 1:
        return JSONResponse([f"{ROOT}/sobjects/{kind}/{key}" for key in found], 300)
    if not found and call.query.get("updateOnly") == "true":
        return refused(404, "NOT_FOUND", "The requested resource does not exist")
    done = _with(call, lambda given: _upsert(shelf, kind, field, given | {field: value}))
    return _answer(done, 200 if found else 201)


def delete(shelf: Shelf, call: Call) -> Response:
    kind, body = call.args["kind"], shelf.get(call.args["kind"], call.args["id"])
    if kind not in FIELDS or body is None:
        return refused(404, "NOT_FOUND", "The requested resource does not exist")
    if body["IsDeleted"]:
        return refused(404, "ENTITY_IS_DELETED", "entity is deleted")
    shelf.put(kind, [row(kind, body | {"IsDeleted": True, "SystemModstamp": _now()})])
    return Response(status_code=204)


def create_many(shelf: Shelf, call: Call) -> Response:
    return _collection(shelf, call, lambda kind, given: _create(shelf, kind, given))


def update_many(shelf: Shelf, call: Call) -> Response:
    return _collection(shelf, call, lambda kind, given: _update(shelf, kind, str(given.pop("id", "")), given))


def upsert_many(shelf: Shelf, call: Call) -> Response:
    return _collection(shelf, call, lambda kind, given: _upsert(shelf, kind, call.args["field"], given))


def _collection(shelf: Shelf, call: Call, write: Callable[[str, dict[str, Any]], Outcome]) -> Response:
    """Write up to 200 records; the call answers 200 though some of them fail."""
    try:
        given = call.json()
        records = [dict(record) for record in given["records"]]
        kinds = [record.pop("attributes")["type"] for record in records]
    except (ValueError, KeyError, TypeError):
        return refused(400, "JSON_PARSER_ERROR", "A collection needs records with attributes.type")
    if len(records) > _MOST:
        return refused(
            400, "EXCEEDED_MAX_SIZE_REQUEST", f"record limit reached. cannot submit more than {_MOST} records"
        )
    shelf.db.execute("SAVEPOINT collection")
    done: list[Outcome] = []
    for n, (kind, record) in enumerate(zip(kinds, records, strict=True), 1):
        locked = call.fault == "partial_success" and n == len(records)
        done.append(_LOCKED if locked else write(kind, record))
    if given.get("allOrNone") and any(isinstance(outcome, _Refusal) for outcome in done):
        shelf.db.execute("ROLLBACK TO collection")
        rolled = _Refusal(400, "ALL_OR_NONE_OPERATION_ROLLED_BACK", "Record rolled back because not all were valid", [])
        done = [outcome if isinstance(outcome, _Refusal) else rolled for outcome in done]
    return JSONResponse([_told(outcome) for outcome in done])


def _told(outcome: Outcome) -> dict[str, Any]:
    if not isinstance(outcome, _Refusal):
        return outcome
    error = {"statusCode": outcome.code, "message": outcome.message, "fields": outcome.fields or []}
    return {"success": False, "errors": [error]}


def _with(call: Call, write: Callable[[dict[str, Any]], Outcome]) -> Outcome:
    try:
        given = call.json()
    except ValueError:
        given = None
    if not isinstance(given, dict):
        return _Refusal(400, "JSON_PARSER_ERROR", "Unexpected character in the request body")
    return write(given)


def _answer(outcome: Outcome, status: int) -> Response:
    if isinstance(outcome, _Refusal):
        return refused(*outcome)
    return Response(status_code=204) if status == 204 else JSONResponse(outcome, status)


def _create(shelf: Shelf, kind: str, given: dict[str, Any]) -> Outcome:
    if kind not in FIELDS:
        return _Refusal(404, "NOT_FOUND", "The requested resource does not exist")
    missing = [name for name in _REQUIRED.get(kind, ()) if not given.get(name)]
    if missing:
        return _Refusal(400, "REQUIRED_FIELD_MISSING", f"Required fields are missing: {missing}", missing)
    key = id18(f"{PREFIX[kind]}SB{shelf.tally('minted:' + kind):010d}")
    fresh = {"Id": key, "IsDeleted": False, "CurrencyIsoCode": "USD"} | dict.fromkeys(STAMPS, _now())
    return _change(shelf, kind, fresh, given) or {"id": key, "success": True, "errors": []}


def _update(shelf: Shelf, kind: str, key: str, given: dict[str, Any]) -> Outcome:
    body = shelf.get(kind, key) if kind in FIELDS else None
    if body is None:
        return _Refusal(404, "NOT_FOUND", "Provided external ID field does not exist or is not accessible: Id")
    if body["IsDeleted"]:
        return _Refusal(404, "ENTITY_IS_DELETED", "entity is deleted")
    return _change(shelf, kind, body, given) or {"id": key, "success": True, "errors": []}


def _upsert(shelf: Shelf, kind: str, field: str, given: dict[str, Any]) -> Outcome:
    if field not in EXTERNAL.get(kind, set()):
        message = f"Provided external ID field does not exist or is not accessible: {field}"
        return _Refusal(404, "NOT_FOUND", message)
    if not given.get(field):
        return _Refusal(400, "MISSING_ARGUMENT", f"{field} not specified", [field])
    found = shelf.ids(kind, "link = ?", [given[field]], "ORDER BY id")
    if len(found) > 1:
        return _Refusal(300, "MULTIPLE_CHOICES", f"{field} {given[field]} matches more than one record", [field])
    done = _update(shelf, kind, found[0], given) if found else _create(shelf, kind, given)
    return done if isinstance(done, _Refusal) else done | {"created": not found}


def _change(shelf: Shelf, kind: str, body: dict[str, Any], given: dict[str, Any]) -> _Refusal | None:
    """Write the fields over `body`, or return the vendor's refusal."""
    for name in given:
        if name not in FIELDS[kind]:
            return _Refusal(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {kind}", [name])
        if name in READ_ONLY:
            message = f"Unable to create/update fields: {name}."
            return _Refusal(400, "INVALID_FIELD_FOR_INSERT_UPDATE", message, [name])
        if isinstance(given[name], str) and len(given[name]) > 255:
            return _Refusal(400, "STRING_TOO_LONG", f"{name}: data value too large (max length=255)", [name])
    stamps = {"LastModifiedDate": _now(), "SystemModstamp": _now()}
    shelf.put(kind, [row(kind, body | given | stamps)])
    return None


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat()
