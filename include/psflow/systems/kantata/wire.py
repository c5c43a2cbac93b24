"""
Kantata's API as one account sees it: requests, the envelope of keyed maps, lists that move, records found again.

Source: developer.kantata.com, API v1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec
from pydantic import ValidationError

from psflow.contracts import OpenEffect, VendorProfile
from psflow.errors import NeedsReview, Rejected, TransientError, UncertainOutcome
from psflow.systems.kantata import REGISTRATION
from psflow.systems.ports import BadRow, Page, Pulled
from psflow.systems.transport import Proof, Reply, Transport

_ROOT = f"/api/{REGISTRATION.api_version}"
_PER_PAGE = 200
_OVERLAP = 10
_PAGES = 1_000_000  # of 190 new records: more is a list that never ends
_PROOF = Proof(refused=((400, '"errors"'), (422, '"errors"')))

T = TypeVar("T")
Records = list[tuple[str, msgspec.Raw]]  # (id, the record's own text) in the vendor's order


class Answer(NamedTuple):
    """One page of a list: its records, and the keyed maps that came beside them."""

    records: Records
    maps: dict[str, msgspec.Raw]

    def included(self, kind: str, shape: type[T]) -> dict[str, T]:
        """Return the side-loaded records of a kind by id; one that is not as documented is left out."""
        found = dict[str, T]()
        for key, raw in msgspec.json.decode(self.maps.get(kind, b"{}"), type=dict[str, msgspec.Raw]).items():
            with suppress(msgspec.ValidationError):
                found[key] = msgspec.json.decode(raw, type=shape)
        return found


class _Key(msgspec.Struct):
    key: str
    id: str


@dataclass(slots=True)
class Wire:
    """
    Requests of one account. `bearer` belongs to an account administrator, else projects are missing in silence.

    `app_url` is where people see the records (another host than the API's). What Kantata will not take
    becomes Rejected with its own message; a 401 is TransientError, since nothing was done.
    """

    transport: Transport
    profile: VendorProfile
    bearer: str = field(repr=False)
    instance: str = ""
    app_url: str = "https://app.mavenlink.com"
    key: str = "kantata"

    def __post_init__(self) -> None:
        self.instance = self.instance or urlsplit(self.transport.base_url).hostname or ""

    # -- lists

    def _all(self, kind: str, shape: type[T], include: str = "", **asked: str) -> list[T]:
        asked |= {"include": include} if include else {}
        return [typed(raw, shape) for page in self._scan(kind, asked) for _, raw in page.records]

    def _scan(self, kind: str, asked: dict[str, str]) -> Iterator[Answer]:
        """
        Yield the pages of a list, each record version once.

        A record that changes while we read moves to the end and pulls the rest forward, past a page's edge and out
        of sight. So each page starts some records before the end of the last, and must share one with it.
        Raises TransientError when it does not, or when a page brings nothing new.
        """
        skip, before = 0, dict[str, msgspec.Raw]()
        for _ in range(_PAGES):
            page = self._page(kind, asked | {"limit": str(_PER_PAGE), "offset": str(skip)})
            seen = {key for key, raw in page.records if key in before and bytes(before[key]) == bytes(raw)}
            if before and page.records and not seen:
                raise TransientError(f"{self.key}: {kind} moved while they were read; start the read again")
            fresh = [(key, raw) for key, raw in page.records if key not in seen]
            if len(page.records) == _PER_PAGE and not fresh:
                raise TransientError(
                    f"{self.key}: {kind} at offset {skip} repeats the page before; the list does not end"
                )
            yield Answer(fresh, page.maps)
            if len(page.records) < _PER_PAGE:
                return
            skip, before = skip + len(page.records) - _OVERLAP, dict(page.records)
        raise TransientError(f"{self.key}: {kind} has more than {_PAGES} pages")

    def _page(self, kind: str, asked: dict[str, str]) -> Answer:
        return _answer(self._read(f"{_ROOT}/{kind}", asked), kind)

    # -- records of ours

    def _look(self, kind: str, asked: dict[str, str]) -> list[dict[str, Any]]:
        """Return the records asked for by id or by external reference, and only those: no filter is trusted."""
        asked = asked | {"include": "external_references", "limit": str(_PER_PAGE)}
        found, seen = dict[str, dict[str, Any]](), set[str]()
        while True:
            reply = self._read(f"{_ROOT}/{kind}", asked | {"offset": str(max(0, len(seen) - _OVERLAP))})
            records = _answer(reply, kind).records
            page = {key: msgspec.json.decode(raw, type=dict[str, Any]) for key, raw in records}
            found |= {w["id"]: w for w in _really(reply, page.values(), asked)}
            if len(page) < _PER_PAGE:
                return list(found.values())
            if page.keys() <= seen:
                raise TransientError(f"{self.key}: the list of {kind} does not end; look again")
            seen |= page.keys()

    def _sent(self, effect: OpenEffect, method: str, path: str, body: dict[str, Any]) -> str:
        """Write one record and return its id."""
        reply = self._write(effect, method, f"{_ROOT}/{path}", body)
        kind = path.partition("/")[0]
        try:
            return _answer(reply, kind).records[0][0]
        except (TransientError, IndexError):
            raise UncertainOutcome(f"{self.key}: {effect.key} answered {reply.status} without {kind}") from None

    # -- one request

    def _read(self, path: str, asked: dict[str, str]) -> Reply:
        try:
            return self.transport.read("GET", path, params=asked, headers=self._headers())
        except Rejected as error:
            raise _refined(error, path) from None

    def _write(self, effect: OpenEffect, method: str, path: str, body: dict[str, Any]) -> Reply:
        try:
            return self.transport.write(effect, method, path, _PROOF, json=body, headers=self._headers())
        except Rejected as error:
            raise _refined(error, effect.key) from None

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.bearer}", "Accept": "application/json"}


def _answer(reply: Reply, kind: str) -> Answer:
    """Return the records in the order of `results`; the map alone has none."""
    try:
        top = msgspec.json.decode(reply.body, type=dict[str, msgspec.Raw])
        keys = msgspec.json.decode(top["results"], type=list[_Key])
        held = msgspec.json.decode(top[kind], type=dict[str, msgspec.Raw]) if keys else {}
        return Answer([(k.id, held[k.id]) for k in keys if k.key == kind], top)
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        raise TransientError(f"kantata: an answer for {kind} is not the envelope that was asked for") from None


def _really(reply: Reply, page: Iterable[dict[str, Any]], asked: dict[str, str]) -> list[dict[str, Any]]:
    """Keep what was asked for: a filter the vendor does not know is ignored, and it hands us everybody's records."""
    if "only" in asked:
        return [w for w in page if w["id"] == asked["only"]]
    ours = asked["external_reference_service_model_ref"]
    side = msgspec.json.decode(reply.body, type=dict[str, Any]).get("external_references", {})
    refs = {str(r["id"]) for r in side.values() if r.get("service_model_ref") == ours}
    return [w for w in page if refs & set(map(str, w.get("external_reference_ids") or []))]


def page_of(records: Records, read: Callable[[msgspec.Raw], T]) -> Page[T]:
    """Return a page read record by record: what cannot be read is set aside."""
    page: Page[T] = Page([], [])
    for record_id, raw in records:
        payload = bytes(raw).decode()
        try:
            record = read(raw)
        except (NeedsReview, ValidationError) as error:
            page.bad.append(BadRow(record_id, str(error), payload))
            continue
        page.rows.append(Pulled(record_id, record, payload, getattr(record, "modified_at", None)))
    return page


def typed(raw: msgspec.Raw, shape: type[T]) -> T:
    """Decode a master record. Raises NeedsReview: rates or people we misread are worse than none."""
    try:
        return msgspec.json.decode(raw, type=shape)
    except msgspec.ValidationError as error:
        raise NeedsReview(f"kantata: {shape.__name__} {bytes(raw)[:120].decode(errors='replace')}: {error}") from None


def _refined(error: Rejected, what: str) -> Rejected:
    said = re.findall(r'"message"\s*:\s*"((?:[^"\\]|\\.)*)"', str(error))
    return Rejected(f"kantata: {what}: {error.code}: {'; '.join(said) or error}", error.code)
