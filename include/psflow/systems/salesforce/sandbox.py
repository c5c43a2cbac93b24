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
from typing import Any, ClassVar
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response

from psflow.sandbox.vendor_app import Call, Handler, Row, Shelf, build
from psflow.systems.salesforce.sandbox_query import (
    FIELDS,
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
from psflow.systems.salesforce.sandbox_write import (
    create,
    create_many,
    delete,
    update,
    update_many,
    upsert,
    upsert_many,
)


def app(path: Path, token: str) -> Starlette:
    """Return the sandbox over its SQLite file; `token` opens the control routes."""
    return build(path, token, DIALECT)


_SIGN_IN = "/services/oauth2/token"


class _Salesforce:
    sign_in: str | None = _SIGN_IN
    weather: ClassVar = {
        "expired_token": ("PATCH " + ROOT, "GET " + ROOT),  # of reads one: one that is repeated may not meet a second
        "partial_success": (f"PATCH {ROOT}/composite/sobjects",),  # of one record, too: the call answers 200, it fails
    }

    def __init__(self) -> None:
        self.routes: list[tuple[str, str, Handler]] = [
            ("POST", _SIGN_IN, _token),
            ("GET", "/services/data/", lambda shelf, call: JSONResponse([_version()])),
            *(("GET", f"{ROOT}/{call}{slash}", run) for call in ("query", "queryAll") for slash in ("", "/")),
            ("GET", ROOT + "/query/{locator}", more),
            *(("POST", ROOT + "/sobjects/{kind}" + slash, create) for slash in ("", "/")),
            ("GET", ROOT + "/sobjects/{kind}/{id}", _show),
            ("PATCH", ROOT + "/sobjects/{kind}/{id}", update),
            ("DELETE", ROOT + "/sobjects/{kind}/{id}", delete),
            ("PATCH", ROOT + "/sobjects/{kind}/{field}/{value}", upsert),
            ("POST", ROOT + "/composite/sobjects", create_many),
            ("PATCH", ROOT + "/composite/sobjects", update_many),
            ("PATCH", ROOT + "/composite/sobjects/{kind}/{field}", upsert_many),
            ("GET", "/lightning/r/{kind}/{id}/view", _show),
        ]

    def refusal(self, status: int) -> Response:
        if status == 429:  # the vendor says 403 where others say 429
            return refused(
                403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded."
            )
        if status == 401:
            return refused(401, "INVALID_SESSION_ID", "Session expired or invalid")
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


DIALECT = _Salesforce()
