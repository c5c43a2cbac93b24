"""
One request to Float: who asks, pages of bare arrays, and what an answer means. Source: developer.float.com, API v3.

The limits are per company and minute, and other integrations use them too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from psflow.contracts import OpenEffect
from psflow.errors import NeedsReview, Rejected, TransientError, UncertainOutcome
from psflow.systems.transport import Patience, Proof, Reply, Transport

_ROOT = "/v3"
_PER_PAGE = 200
_A_MINUTE = Patience(tries=7, within_s=65, pause_s=1)
_KEYS = {"people": "people_id", "projects": "project_id", "tasks": "task_id"}
_PROOF = Proof(refused=((400, '"message"'), (422, '"message"')))
_JSON = msgspec.json.Encoder(decimal_format="number")

T = TypeVar("T")
Records = list[tuple[str, msgspec.Raw]]  # (id, the record's own text)


@dataclass(frozen=True, slots=True)
class Rest:
    """Float's API for one account; `contact` is the mail it wants to know of whoever asks."""

    transport: Transport
    token: str = field(repr=False)
    contact: str

    def scan(self, kind: str, patient: bool = False, **asked: str) -> Iterator[Records]:
        """
        Yield the pages of a list in the order of their ids, each record once; a patient read waits a minute.

        Pages are counted, not remembered: what is deleted between two of them moves the rest out of sight. So their
        number must stay and be met, where Float tells it. Raises TransientError if not, or when a page brings nothing.
        """
        seen, page, total = set[str](), 1, None
        wish = asked | {"sort": _KEYS[kind], "per-page": str(_PER_PAGE)}
        while True:
            reply = self._read(kind, wish | {"page": str(page)}, _A_MINUTE if patient else None)
            rows = _records(reply, kind)
            fresh = [(key, raw) for key, raw in rows if key not in seen]
            seen |= {key for key, _ in fresh}
            told = _total(reply)
            total = told if total is None else total
            ends = len(rows) < _PER_PAGE or len(seen) == told
            if told != total or (ends and told not in (None, len(seen))):
                raise TransientError(f"float: {kind} changed while they were read; start the read again")
            if not ends and not fresh:
                raise TransientError(f"float: page {page} of {kind} brings nothing new; the list does not end")
            yield fresh
            if ends:
                return
            page += 1

    def one(self, kind: str, record_id: str | int, shape: type[T]) -> T | None:
        """Return one record, None when Float itself says that there is none."""
        try:
            return typed(self._read(_path(kind, record_id), {}).body, shape)
        except Rejected as error:
            if error.code == "404" and "Not Found" in str(error):
                return None
            raise

    def post(self, effect: OpenEffect, kind: str, body: dict[str, Any]) -> str:
        """Create a record and return its id."""
        reply = self._write(effect, "POST", kind, body)
        try:
            return str(msgspec.json.decode(reply.body, type=dict[str, Any])[_KEYS[kind]])
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
            raise UncertainOutcome(f"float: {effect.key} answered {reply.status} without a record") from None

    def patch(self, effect: OpenEffect, kind: str, record_id: str | int, body: dict[str, Any]) -> None:
        """Change these fields and no others."""
        self._write(effect, "PATCH", _path(kind, record_id), body)

    def delete(self, effect: OpenEffect, kind: str, record_id: str | int) -> None:
        """Delete a record; nothing is left of it."""
        self._write(effect, "DELETE", _path(kind, record_id))

    def _read(self, path: str, asked: dict[str, str], patience: Patience | None = None) -> Reply:
        try:
            return self.transport.read(
                "GET", f"{_ROOT}/{path}", patience=patience, params=asked, headers=self._headers()
            )
        except Rejected as error:
            raise _refined(error, path) from None

    def _write(self, effect: OpenEffect, method: str, path: str, body: dict[str, Any] | None = None) -> Reply:
        data = None if body is None else _JSON.encode(body)
        headers = self._headers() | {"Content-Type": "application/json"}
        try:
            return self.transport.write(effect, method, f"{_ROOT}/{path}", _PROOF, data=data, headers=headers)
        except Rejected as error:
            raise _refined(error, effect.key) from None

    def _headers(self) -> dict[str, str]:
        agent = f"psflow ({self.contact})"  # without one Float refuses
        return {"Authorization": f"Bearer {self.token}", "Accept": "application/json", "User-Agent": agent}


def typed(raw: msgspec.Raw | bytes, shape: type[T]) -> T:
    """Decode a record. Raises NeedsReview with the field and its type, never its value."""
    try:
        return msgspec.json.decode(raw, type=shape)
    except msgspec.ValidationError as error:
        raise NeedsReview(f"float: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise TransientError(f"float: a {shape.__name__.lower()} came as something else than JSON") from None


def _records(reply: Reply, kind: str) -> Records:
    try:
        rows = msgspec.json.decode(reply.body, type=list[msgspec.Raw])
        return [(str(msgspec.json.decode(raw, type=dict[str, Any])[_KEYS[kind]]), raw) for raw in rows]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        raise TransientError(f"float: an answer for {kind} is not the array that is documented") from None


def _total(reply: Reply) -> int | None:
    told = reply.headers.get("X-Pagination-Total-Count", "")
    return int(told) if told.isdigit() else None


def _path(kind: str, record_id: str | int) -> str:
    if not str(record_id).isdigit():
        raise NeedsReview(f"float: {record_id!r} is no id of {kind}; correct what the effect or crosswalk says")
    return f"{kind}/{record_id}"


def _refined(error: Rejected, what: str) -> Rejected:
    said = re.findall(r'"(?:message|error|name)"\s*:\s*"((?:[^"\\]|\\.)*)"', str(error))
    return Rejected(f"float: {what}: {error.code}: {'; '.join(said) or error}", error.code)
