"""
Salesforce as our CRM: client credentials, SOQL by cursor, one idempotent write.

Tokens carry no life time: a 401 means a new token and the call once more, for it proves a write not applied.
Source: REST API Developer Guide v62.0.
"""

from __future__ import annotations

import base64
import datetime as dt
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from psflow.contracts import Customer, OpenEffect, Opportunity, VendorProfile
from psflow.errors import (
    ConfigurationError,
    NeedsReview,
    PsflowError,
    Rejected,
    TransientError,
    Unauthorized,
    UncertainOutcome,
)
from psflow.systems.account import Signs
from psflow.systems.ports import Answer, BadRow, Page, Pulled, Raw
from psflow.systems.salesforce import mapping
from psflow.systems.salesforce.soql import soql_datetime, soql_id
from psflow.systems.token import Token
from psflow.systems.transport import Proof, Reply, Transport

_ROOT = "/services/data/v62.0"
_PAGES = 100_000  # of 200 records at the least: more is a cursor that never ends
_BUSY = ("REQUEST_LIMIT_EXCEEDED", "UNABLE_TO_LOCK_ROW", "rate_limit_exceeded")
_LATER = tuple((status, code) for status in (400, 403, 409) for code in _BUSY)
_PROOF = Proof(
    refused=((400, "errorCode"), (404, '"NOT_FOUND"'), (404, '"ENTITY_IS_DELETED"')),
    not_applied=((401, ""), (429, ""), *_LATER),
)
_SIGNS = Signs(  # other 403s are about one record
    throttled=((429, ""), (403, "REQUEST_LIMIT_EXCEEDED"), (400, "rate_limit_exceeded")),
    refused=((403, "API_DISABLED_FOR_ORG"), (403, "API_CURRENTLY_DISABLED")),
)
_OBJECTS = {"customer": "Account", "opportunity": "Opportunity"}


T = TypeVar("T")


class _Page(msgspec.Struct, rename={"next_url": "nextRecordsUrl"}):
    """One page of a query; records stay the vendor's own text."""

    done: bool
    records: list[msgspec.Raw]
    next_url: str | None = None


class _Wrong(msgspec.Struct, rename={"code": "statusCode"}):
    code: str
    message: str = ""


class _Row(msgspec.Struct):
    """What became of one record of a collection: the call itself answers 200 though some of them fail."""

    success: bool
    errors: list[_Wrong] = []


class _Answer(msgspec.Struct):
    access_token: str
    instance_url: str


@dataclass(slots=True)
class Salesforce:
    """
    The `Crm` port. `transport` points at the org's My Domain host, which client credentials need anyway.

    `org_currency` is set for a single-currency org only. Raises Unauthorized when the credentials are refused or the
    token answer names a host other than the transport's.
    """

    transport: Transport
    profile: VendorProfile
    client_id: str
    client_secret: str = field(repr=False)
    instance: str = ""
    org_currency: str | None = None
    key: str = "salesforce"
    _token: Token = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.transport.signs = _SIGNS
        self._token = Token(self.transport, self._sign_in)
        self.instance = self.instance or urlsplit(self.transport.base_url).hostname or ""

    # -- reads

    def customers(self, since: dt.datetime | None) -> Iterator[Page[Customer]]:
        """Yield pages of accounts with a SystemModstamp at or after `since`, oldest change first."""
        for page in self._query(_statement(mapping.ACCOUNT_FIELDS, "Account", since)):
            yield _page(page, mapping.customer)

    def opportunities(self, since: dt.datetime | None) -> Iterator[Page[Opportunity]]:
        """Yield pages of opportunities with their lines, SystemModstamp at or after `since`, oldest change first."""
        fields = mapping.opportunity_fields(multi_currency=self.org_currency is None)
        for page in self._query(_statement(fields, "Opportunity", since)):
            yield _page(page, self._opportunity)

    def read_again(self, stream: str, record_id: str, payload: Raw) -> Page[Any]:
        """Return a page of one kept account or opportunity."""
        read: dict[str, Callable[[dict[str, Any]], Any]]
        read = {"customer": mapping.customer, "opportunity": self._opportunity}
        return _page([payload], read[stream])

    def _opportunity(self, record: dict[str, Any]) -> Opportunity:
        return mapping.opportunity(record, self._lines(record.get(mapping.LINES)), self.org_currency)

    def _lines(self, child: dict[str, Any] | None) -> list[dict[str, Any]]:
        """Return all records of a sub-query: null when there are none, and it pages on its own."""
        if child is None:
            return []
        lines: list[dict[str, Any]] = list(child["records"])
        if not child["done"]:
            lines += [mapping.decode(raw) for page in self._follow(child["nextRecordsUrl"]) for raw in page]
        return lines

    def _query(self, statement: str) -> Iterator[list[Raw]]:
        yield from self._follow(f"{_ROOT}/query", {"q": statement})

    def _follow(self, path: str | None, asked: dict[str, str] | None = None) -> Iterator[list[Raw]]:
        """Yield the pages of a cursor. Raises TransientError when it comes back to a page or never ends."""
        seen: set[str] = set()
        while path is not None:
            if path in seen or len(seen) > _PAGES:
                raise TransientError(f"{self.key}: the cursor returned to {path}; start the read again")
            seen.add(path)
            page = self._decoded(self._read(path, asked), _Page)
            yield [bytes(raw).decode() for raw in page.records]
            path, asked = None if page.done else _cursor(page.next_url), None

    # -- the write

    def perform(self, effect: OpenEffect) -> str:
        """Write engagement, project code and state on the opportunity (`update_opportunity`) and return its id."""
        (answer,) = self.perform_many([effect])
        if isinstance(answer, PsflowError):
            raise answer
        return str(answer)

    def perform_many(self, effects: Sequence[OpenEffect]) -> list[Answer | PsflowError]:
        """Do the same for up to 200 opportunities in one request (sObject Collections), each on its own."""
        ids = [self._capability(effect) for effect in effects]
        for effect in effects:  # before the token call: an old ticket must not even sign in
            effect.permit(self.key)
        fields = [mapping.engagement_fields(effect.payload) for effect in effects]
        records = [{"attributes": {"type": "Opportunity"}, "id": i} | f for i, f in zip(ids, fields, strict=True)]
        reply = self._patch(effects[0], {"allOrNone": False, "records": records})
        try:
            rows = msgspec.json.decode(reply.body, type=list[_Row])
            return [i if row.success else _why(row, e.key) for i, e, row in zip(ids, effects, rows, strict=True)]
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
            raise UncertainOutcome(f"{self.key}: a collection answered {reply.status} without its rows") from None

    def _patch(self, effect: OpenEffect, body: dict[str, Any]) -> Reply:
        url = f"{_ROOT}/composite/sobjects"
        try:
            return self._token.call(
                lambda token: self.transport.write(effect, "PATCH", url, _PROOF, headers=_headers(token), json=body)
            )
        except Rejected as error:
            raise _refined(error, effect.key) from None

    def find(self, effect: OpenEffect) -> str | None:
        """Return the opportunity's id when it already holds what the effect writes."""
        opportunity_id = self._capability(effect)
        wanted = mapping.engagement_fields(effect.payload)
        statement = f"SELECT {', '.join(wanted)} FROM Opportunity WHERE Id = {soql_id(opportunity_id)}"
        records = [mapping.decode(raw) for page in self._query(statement) for raw in page]
        landed = any(all(record.get(name) == value for name, value in wanted.items()) for record in records)
        return opportunity_id if landed else None

    def url(self, kind: str, external_id: str) -> str:
        """Return the Lightning page of a record."""
        what = _OBJECTS.get(kind, "Opportunity")
        return f"{self.transport.base_url.rstrip('/')}/lightning/r/{what}/{quote(external_id, safe='')}/view"

    def _capability(self, effect: OpenEffect) -> str:
        if effect.capability != "update_opportunity":
            raise ConfigurationError(f"{self.key} has no capability {effect.capability!r}; it has update_opportunity")
        opportunity_id = str(effect.payload["opportunity_id"])
        soql_id(opportunity_id)
        return opportunity_id

    # -- tokens

    def _read(self, path: str, asked: dict[str, str] | None) -> Reply:
        try:
            return self._token.call(
                lambda token: self.transport.read("GET", path, _LATER, params=asked, headers=_headers(token))
            )
        except Rejected as error:
            raise _refined(error, path) from None

    def _sign_in(self) -> str:
        """Return a new access token. Raises Unauthorized when refused, or when it is for another host."""
        basic = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        form = {"grant_type": "client_credentials"}
        try:  # a read: it changes nothing of ours and may be repeated
            reply = self.transport.read(
                "POST", "/services/oauth2/token", _LATER, data=form, headers={"Authorization": f"Basic {basic}"}
            )
        except Rejected as error:
            word = re.search(r'"error"\s*:\s*"(\w+)"', str(error))
            raise Unauthorized(
                f"{self.key}: sign-in refused ({word[1] if word else error.code}); check client id and secret "
                f"of the connection to {self.transport.base_url}"
            ) from None
        token = self._decoded(reply, _Answer)
        asked, named = urlsplit(self.transport.base_url), urlsplit(token.instance_url)
        if (named.scheme, named.netloc.lower()) != (asked.scheme, asked.netloc.lower()):
            raise Unauthorized(
                f"{self.key}: the token answer names {named.scheme}://{named.netloc}, the connection "
                f"{asked.scheme}://{asked.netloc}; set the connection's host to the org's My Domain host"
            )
        return token.access_token

    def _decoded(self, reply: Reply, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(reply.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise TransientError(f"{self.key}: an answer is not the JSON that was asked for") from None


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Sforce-Query-Options": "batchSize=2000"}


def _page(texts: list[Raw], read: Callable[[dict[str, Any]], T]) -> Page[T]:
    page: Page[T] = Page([], [])
    for raw in texts:
        record = mapping.decode(raw)
        try:
            page.rows.append(Pulled(record["Id"], read(record), raw, mapping.stamp(record)))
        except NeedsReview as error:
            page.bad.append(BadRow(record["Id"], str(error), raw))
    return page


def _statement(fields: str, source: str, since: dt.datetime | None) -> str:
    where = f" WHERE SystemModstamp >= {soql_datetime(since)}" if since else ""
    return f"SELECT {fields} FROM {source}{where} ORDER BY SystemModstamp, Id"


def _cursor(url: str | None) -> str:
    """Return the path of a next page. It is host-relative; anything else would carry the token elsewhere."""
    if url is None or not url.startswith(f"{_ROOT}/query/"):
        raise TransientError("salesforce: a page is not done but names no next page of ours")
    return url


def _why(row: _Row, what: str) -> PsflowError:
    wrong = row.errors[0] if row.errors else _Wrong("UNKNOWN_EXCEPTION")
    said = f"salesforce: {what}: {wrong.code}: {wrong.message}"
    return TransientError(said) if wrong.code in _BUSY else Rejected(said, wrong.code)


def _refined(error: Rejected, what: str) -> Rejected:
    found = re.search(r'"errorCode"\s*:\s*"(\w+)"', str(error))
    code = found[1] if found else error.code
    said = re.search(r'"message"\s*:\s*"((?:[^"\\]|\\.)*)"', str(error))
    return Rejected(f"salesforce: {what}: {code}: {said[1] if said else error}", code)
