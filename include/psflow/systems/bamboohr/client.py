"""
BambooHR as our HR: an API key over Basic, read only.

People come from the dataset `employee`, the one list that holds who left and when and that an API key may read. Leave
comes by window, since requests have no change stamp. Source: the vendor's OpenAPI description (bhr-api-python) and
its notes on the dataset's field names.
"""

from __future__ import annotations

import datetime as dt
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from psflow.contracts import Absence, Employment, OpenEffect, Resource, VendorProfile
from psflow.errors import ConfigurationError, NeedsReview, TransientError
from psflow.systems.bamboohr import mapping
from psflow.systems.ports import BadRow, Page, Pulled
from psflow.systems.transport import Reply, Transport

_PEOPLE = "/api/v2/datasets/employee/data"
_CHANGED = "/api/v1/employees/changed"
_JOBS = "/api/v1/employees/changed/tables/jobInfo"
_REQUESTS = "/api/v1/time_off/requests"
_PER_PAGE = 1000
_QUARTER = dt.timedelta(days=91)  # time off has no pages: a short window is a short answer

T = TypeVar("T")
Records = list[tuple[str, msgspec.Raw]]  # (id, the record's own text)


class _Keyed(msgspec.Struct):
    eeid: mapping.Id


class _Row(msgspec.Struct):
    fields: _Keyed


class _Meta(msgspec.Struct, rename="camel"):
    total_pages: int
    total_items: int


class _Dataset(msgspec.Struct):
    data: list[msgspec.Raw]
    meta: _Meta


class _Tables(msgspec.Struct):
    employees: dict[str, dict[str, msgspec.Raw]] | list[msgspec.Raw]  # an empty map is an empty list


class _Changed(msgspec.Struct):
    employees: dict[str, msgspec.Raw] | list[msgspec.Raw]  # an empty map is an empty list


@dataclass(slots=True)
class BambooHR:
    """
    The `Hr` port. `api_key` has the rights of the user who made it: what they may not see is hidden, not refused.

    Kept are names, work e-mail, location, employing company and dates of employment, and nothing else. A key that is
    not accepted is a ConfigurationError at once: repeating it locks the account.
    """

    transport: Transport
    profile: VendorProfile
    api_key: str = field(repr=False)
    instance: str = ""
    key: str = "bamboohr"

    def __post_init__(self) -> None:
        self.instance = self.instance or urlsplit(self.transport.base_url).hostname or ""

    # -- reads

    def resources(self) -> Iterator[Page[Resource]]:
        """Yield pages of all people; those who left are not active. Two people with one number are set aside."""
        owner: dict[str, str] = {}
        for rows in self._people():
            page: Page[Resource] = Page([], [])
            for record_id, raw in rows:
                try:
                    person = mapping.resource(_typed(raw, mapping.PersonRow))
                    if owner.setdefault(person.resource_id, record_id) != record_id:
                        raise NeedsReview(f"its number is also that of {owner[person.resource_id]}; correct one")
                    page.rows.append(Pulled(record_id, person, _text(raw)))
                except NeedsReview as error:
                    page.bad.append(BadRow(record_id, str(error), _text(raw)))
            yield page

    def read_again(self, stream: str, record_id: str, payload: str) -> Page[Any]:
        """Return a page of one kept record. Raises NeedsReview for leave, which counts in its window only."""
        if stream not in ("resource", "employment"):
            raise NeedsReview(f"a {stream} of BambooHR is read with its whole window; correct it there")
        try:
            if stream == "employment":
                return Page([_employed(record_id, payload.encode())], [])
            person = mapping.resource(_typed(payload.encode(), mapping.PersonRow))
        except NeedsReview as error:
            return Page([], [BadRow(record_id, str(error), payload)])
        return Page([Pulled(record_id, person, payload)], [])

    def employments(self) -> Iterator[Page[tuple[Employment, ...]]]:
        """
        Yield one page of everybody's employing companies, all of it each time: what starts today touches no stamp.

        Kept of job information is what we use: titles and managers are not for here.
        """
        reply = self._read("GET", _JOBS, params={"since": "1970-01-01T00:00:00Z"})
        found = _decoded(reply, _Tables, "job information").employees
        page: Page[tuple[Employment, ...]] = Page([], [])
        for record_id, jobs in found.items() if isinstance(found, dict) else ():
            raw = _shortened(jobs.get("rows", msgspec.Raw(b"null")))
            try:
                page.rows.append(_employed(record_id, raw))
            except NeedsReview as error:
                page.bad.append(BadRow(record_id, str(error), _text(raw)))
        yield page

    def deleted(self) -> Iterator[Page[None]]:
        """Yield one page of the people whose record was deleted, ever: only ids and times are left of them."""
        asked = {"since": "1970-01-01T00:00:00Z", "type": "deleted"}
        found = _decoded(self._read("GET", _CHANGED, params=asked), _Changed, "deleted people").employees
        page: Page[None] = Page([], [])
        for record_id, raw in found.items() if isinstance(found, dict) else enumerate(found):
            try:
                change = _typed(raw, mapping.Change)
            except NeedsReview as error:
                page.bad.append(BadRow(str(record_id), str(error), _text(raw)))
                continue
            if change.action == "Deleted":
                page.rows.append(Pulled(change.id, None, _text(raw), change.last_changed))
        yield page

    def absences(self, from_day: dt.date, to_day: dt.date) -> Iterator[Page[Absence]]:
        """
        Yield a page a quarter of the days within the window on which people are away: asked for or approved.

        What was withdrawn since is missing. Kept of a request is what we use: its kind of leave tells of an illness.
        """
        while from_day <= to_day:
            last = min(from_day + _QUARTER, to_day)
            yield self._absences(from_day, last)
            from_day = last + dt.timedelta(days=1)

    def _absences(self, from_day: dt.date, to_day: dt.date) -> Page[Absence]:
        asked = {"start": str(from_day), "end": str(to_day), "status": ",".join(mapping.STATES), "excludeNote": "1"}
        found = _decoded(self._read("GET", _REQUESTS, params=asked), list[dict[str, msgspec.Raw]], "time off")
        page: Page[Absence] = Page([], [])
        for whole in found:
            raw = msgspec.json.encode({name: whole[name] for name in mapping.REQUEST_FIELDS if name in whole})
            record_id = bytes(whole.get("id", b"?")).decode().strip('"')
            try:
                days = list(mapping.absences(_typed(raw, mapping.Request), from_day, to_day))
                page.rows.extend(Pulled(record_id, day, _text(raw)) for day in days)
            except NeedsReview as error:
                page.bad.append(BadRow(record_id, str(error), _text(raw)))
        return page

    def _people(self) -> Iterator[Records]:
        """
        Yield the dataset's pages, each person once.

        Pages are counted off, not remembered: who goes between two of them moves the rest out of sight. Raises
        TransientError when other than the number of people told at first were read, or a page brings nobody new.
        """
        seen, page, total = set[str](), 1, None
        while True:
            body = {"fields": mapping.FIELDS, "orderBy": "eeid asc", "page": page, "pageSize": _PER_PAGE}
            answer = _decoded(self._read("POST", _PEOPLE, json=body), _Dataset, "people")
            total = answer.meta.total_items if total is None else total
            fresh = [(key, raw) for key, raw in map(_keyed, answer.data) if key not in seen]
            seen |= {key for key, _ in fresh}
            ends = page >= answer.meta.total_pages
            if ends and len(seen) != total:
                raise TransientError(f"{self.key}: people changed while they were read; start the read again")
            if not ends and not fresh:
                raise TransientError(f"{self.key}: page {page} of people brings nobody new; the list does not end")
            yield fresh
            if ends:
                return
            page += 1

    # -- writes

    def perform(self, effect: OpenEffect) -> str:
        """Raise ConfigurationError: nothing is written to HR."""
        self._read_only(effect)

    def find(self, effect: OpenEffect) -> str | None:
        """Raise ConfigurationError: nothing is written to HR, so nothing can have landed."""
        self._read_only(effect)

    def _read_only(self, effect: OpenEffect) -> NoReturn:
        raise ConfigurationError(f"{self.key} is only read and has no capability {effect.capability!r}")

    def url(self, kind: str, external_id: str) -> str:
        """Return the person's page."""
        return f"{self.transport.base_url.rstrip('/')}/employees/employee.php?id={quote(external_id, safe='')}"

    # -- one request

    def _read(self, method: str, path: str, **request: Any) -> Reply:
        login = b64encode(f"{self.api_key}:x".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Accept": "application/json"}  # XML without it
        try:
            return self.transport.read(method, path, headers=headers, **request)
        except TransientError as error:
            if error.code == "401":
                raise ConfigurationError(f"{error}: the API key is not accepted; enter one that is") from None
            raise


def _keyed(raw: msgspec.Raw) -> tuple[str, msgspec.Raw]:
    try:
        return msgspec.json.decode(raw, type=_Row).fields.eeid, raw
    except msgspec.ValidationError:
        raise NeedsReview(
            "bamboohr: a person came without an id (eeid); give the API key's user access to it"
        ) from None


def _employed(record_id: str, raw: bytes) -> Pulled[tuple[Employment, ...]]:
    return Pulled(record_id, mapping.employments(record_id, _typed(raw, mapping.Jobs)), _text(raw))


def _shortened(rows: msgspec.Raw) -> bytes:
    """
    Return the rows of one person without what is not used, in an order that does not change; those of another shape as
    they came.
    """
    try:
        whole = msgspec.json.decode(rows, type=list[dict[str, msgspec.Raw]])
    except msgspec.DecodeError:
        return msgspec.json.encode({"rows": rows})
    used = [{k: row[k] for k in ("date", "division") if k in row} for row in whole]
    return msgspec.json.encode({"rows": sorted(used, key=msgspec.json.encode)})


def _decoded(reply: Reply, shape: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(reply.body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise TransientError(f"bamboohr: an answer for {what} is not the one that is documented") from None


def _typed(raw: msgspec.Raw | bytes, shape: type[T]) -> T:
    """Decode a record. Raises NeedsReview with the field and its type, never its value."""
    try:
        return msgspec.json.decode(raw, type=shape)
    except msgspec.ValidationError as error:
        raise NeedsReview(str(error)) from None


def _text(raw: msgspec.Raw | bytes) -> str:
    return bytes(raw).decode()
