"""
Salesforce's wire behaviour as far as psflow meets it: tokens, SOQL, cursors, upserts, error lists.

Source: REST API Developer Guide v62.0 (see the vendor's facts in the README). Settings, all optional but the
credentials: `client_id`, `client_secret`, `page_size` (a cap under the caller's batchSize hint, so that small data
still pages), `child_page_size`, `token_calls` and `token_seconds` (life of a token), `multi_currency` (True),
`instance_url` (the token answer names it instead of this host), `hang_s` (how long an armed time-out lasts).
"""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import secrets
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response

from psflow.sandbox.vendor_app import Call, Handler, Row, Shelf, build
from psflow.systems.salesforce.sandbox_query import (
    EXTERNAL,
    FIELDS,
    PREFIX,
    READ_ONLY,
    ROOT,
    STAMPS,
    VERSION,
    id18,
    more,
    record_of,
    refused,
    row,
    run,
)


def app(path: Path, token: str) -> Starlette:
    """Return the sandbox over its SQLite file; `token` opens the control routes."""
    return build(path, token, DIALECT)


_SIGN_IN = "/services/oauth2/token"


class _Salesforce:
    sign_in: str | None = _SIGN_IN

    def __init__(self) -> None:
        self.routes: list[tuple[str, str, Handler]] = [
            ("POST", _SIGN_IN, _token),
            ("GET", "/services/data/", lambda shelf, call: JSONResponse([_version()])),
            ("GET", ROOT + "/query", run),
            ("GET", ROOT + "/queryAll", run),
            ("GET", ROOT + "/query/{locator}", more),
            ("GET", ROOT + "/sobjects/{kind}/{id}", _show),
            ("PATCH", ROOT + "/sobjects/{kind}/{id}", _update),
            ("PATCH", ROOT + "/sobjects/{kind}/{field}/{value}", _upsert),
            ("GET", "/lightning/r/{kind}/{id}/view", _show),
        ]

    def refusal(self, status: int) -> Response:
        if status == 429:  # the vendor says 403 where others say 429
            return refused(
                403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded."
            )
        if status == 503:
            return refused(503, "SERVER_UNAVAILABLE", "Server temporarily unavailable")
        return refused(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred")

    def row(self, kind: str, record: dict[str, Any]) -> Row:
        if kind not in FIELDS or set(record) - FIELDS[kind]:
            raise ValueError(f"{kind} has no fields {sorted(set(record) - FIELDS.get(kind, set()))}")
        now = dt.datetime.now(dt.UTC).isoformat()
        stamp = record.get("SystemModstamp", now)
        body = {"IsDeleted": False, "CurrencyIsoCode": "USD"} | dict.fromkeys(STAMPS, stamp) | record
        for name in ("Id", "AccountId", "OpportunityId"):
            if body.get(name):
                body[name] = id18(str(body[name]))
        return row(kind, body)

    def guard(self, shelf: Shelf, call: Call) -> Response | None:
        if call.path in (_SIGN_IN, "/services/data/") or call.path.startswith("/lightning/"):
            return None  # the last stands for the page behind the vendor's own login
        secret = call.headers.get("authorization", "").removeprefix("Bearer ")
        session = shelf.get("_session", secret)
        if session is None or session["calls"] <= 0 or session["until"] < time.time():
            return refused(401, "INVALID_SESSION_ID", "Session expired or invalid")
        shelf.put("_session", [Row(secret, "", None, session | {"calls": session["calls"] - 1})])
        return None

    def finish(self, shelf: Shelf, response: Response) -> Response:
        response.headers["Sforce-Limit-Info"] = f"api-usage={shelf.tally('calls')}/100000"
        return response


def _version() -> dict[str, str]:
    return {"label": "Winter '25", "url": ROOT, "version": VERSION.removeprefix("v")}


def _token(shelf: Shelf, call: Call) -> Response:
    form = {k: v[0] for k, v in parse_qs(call.body.decode()).items()}
    if form.get("grant_type") != "client_credentials":
        return JSONResponse({"error": "unsupported_grant_type", "error_description": "grant type not supported"}, 400)
    given = (form.get("client_id", ""), form.get("client_secret", ""))
    if call.headers.get("authorization", "").startswith("Basic "):
        decoded = base64.b64decode(call.headers["authorization"][6:]).decode()
        given = (decoded.partition(":")[0], decoded.partition(":")[2])
    if not hmac.compare_digest(given[0].encode(), str(shelf.setting("client_id", "")).encode()):
        return JSONResponse({"error": "invalid_client_id", "error_description": "client identifier invalid"}, 400)
    if not hmac.compare_digest(given[1].encode(), str(shelf.setting("client_secret", "")).encode()):
        return JSONResponse({"error": "invalid_client", "error_description": "invalid client credentials"}, 400)
    secret, host = secrets.token_urlsafe(24), f"http://{call.headers.get('host', '127.0.0.1')}"
    life = {"calls": shelf.setting("token_calls", 1 << 40), "until": time.time() + shelf.setting("token_seconds", 7200)}
    shelf.put("_session", [Row(secret, "", None, life)])
    shelf.tally("tokens")
    # no expires_in: the length of a session is an org setting the answer does not tell
    answer = {"access_token": secret, "instance_url": shelf.setting("instance_url", host), "token_type": "Bearer"}
    answer |= {"id": f"{host}/id/00D000000000062EAA/005000000000001AAA", "issued_at": str(int(time.time() * 1000))}
    return JSONResponse(answer | {"signature": secrets.token_urlsafe(12)})


def _show(shelf: Shelf, call: Call) -> Response:
    kind, body = call.args["kind"], shelf.get(call.args["kind"], call.args["id"])
    if kind not in FIELDS or body is None:
        return refused(404, "NOT_FOUND", "The requested resource does not exist")
    return JSONResponse(record_of(shelf, {"kind": kind, "fields": sorted(FIELDS[kind])}, body))


def _change(shelf: Shelf, call: Call, kind: str, body: dict[str, Any]) -> Response | None:
    """Write the fields of the request over `body`, or return the vendor's refusal."""
    try:
        given = call.json()
    except ValueError:
        return refused(400, "JSON_PARSER_ERROR", "Unexpected character in the request body")
    for name in given:
        if name not in FIELDS[kind]:
            return refused(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {kind}", [name])
        if name in READ_ONLY:
            return refused(400, "INVALID_FIELD_FOR_INSERT_UPDATE", f"Unable to create/update fields: {name}.", [name])
        if isinstance(given[name], str) and len(given[name]) > 255:
            return refused(400, "STRING_TOO_LONG", f"{name}: data value too large (max length=255)", [name])
    now = dt.datetime.now(dt.UTC).isoformat()
    shelf.put(kind, [row(kind, body | given | {"LastModifiedDate": now, "SystemModstamp": now})])
    return None


def _update(shelf: Shelf, call: Call) -> Response:
    kind, body = call.args["kind"], shelf.get(call.args["kind"], call.args["id"])
    if kind not in FIELDS or body is None:
        return refused(404, "NOT_FOUND", "Provided external ID field does not exist or is not accessible: Id")
    if body["IsDeleted"]:
        return refused(404, "ENTITY_IS_DELETED", "entity is deleted")
    return _change(shelf, call, kind, body) or Response(status_code=204)


def _upsert(shelf: Shelf, call: Call) -> Response:
    kind, field, value = call.args["kind"], call.args["field"], call.args["value"]
    if field not in EXTERNAL.get(kind, set()):
        return refused(404, "NOT_FOUND", f"Provided external ID field does not exist or is not accessible: {field}")
    found = shelf.ids(kind, "link = ?", [value], "ORDER BY id")
    if len(found) > 1:
        return JSONResponse([f"{ROOT}/sobjects/{kind}/{key}" for key in found], 300)
    if not found and call.query.get("updateOnly") == "true":
        return refused(404, "NOT_FOUND", "The requested resource does not exist")
    now = dt.datetime.now(dt.UTC).isoformat()
    key = found[0] if found else id18(f"{PREFIX[kind]}SB{shelf.tally('minted:' + kind):010d}")
    fresh = {"Id": key, "IsDeleted": False, "CurrencyIsoCode": "USD", field: value} | dict.fromkeys(STAMPS, now)
    problem = _change(shelf, call, kind, shelf.get(kind, key) or fresh)
    answer = {"id": key, "success": True, "errors": [], "created": not found}
    return problem or JSONResponse(answer, 200 if found else 201)


DIALECT = _Salesforce()
