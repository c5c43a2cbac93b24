"""
Kantata OX as our PSA: a bearer that never expires, keyed maps, no idempotency.

A lost create is found again by its external reference only. Source: developer.kantata.com, API v1.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from pydantic import ValidationError

from psflow.contracts import OpenEffect, RateCard, Resource, VendorProfile
from psflow.errors import ConfigurationError, NeedsReview, Rejected, TransientError, UncertainOutcome
from psflow.systems.kantata import mapping
from psflow.systems.ports import BadRow, Page, Pulled, TimePage
from psflow.systems.transport import Reply, Transport

_ROOT = "/api/v1"
_PER_PAGE = 200
_OVERLAP = 10
_PAGES = 1_000_000  # of 190 new records: more is a list that never ends

T = TypeVar("T")
Records = list[tuple[str, msgspec.Raw]]  # (id, the record's own text) in the vendor's order


class _Key(msgspec.Struct):
    key: str
    id: str


@dataclass(slots=True)
class Kantata:
    """
    The `Psa` port. `bearer` belongs to an account administrator, else projects are missing in silence.

    `app_url` is where people see the records (another host than the API's). 4xx become Rejected with the vendor's
    own message; a 401 is TransientError, since nothing was done.
    """

    transport: Transport
    profile: VendorProfile
    bearer: str = field(repr=False)
    instance: str = ""
    app_url: str = "https://app.mavenlink.com"
    key: str = "kantata"

    def __post_init__(self) -> None:
        self.instance = self.instance or urlsplit(self.transport.base_url).hostname or ""

    # -- reads

    def resources(self) -> Iterator[Page[Resource]]:
        """Yield pages of all people with the name of their role."""
        roles = self._roles()
        for page in self._scan("users", {"include": "role"}):
            yield _page(page, lambda raw: mapping.resource(_typed(raw, mapping.User), roles))

    def rate_cards(self) -> Iterator[Page[RateCard]]:
        """Yield pages of all rate cards that price something. Raises NeedsReview when a dated price is misshapen."""
        known = mapping.Rates(
            roles=self._roles(),
            sets={s.id: s for s in self._all("rate_card_sets", mapping.CardSet)},
            set_versions=self._all("rate_card_set_versions", mapping.SetVersion, "rate_card_set"),
            versions=self._all("rate_card_versions", mapping.CardVersion, "rate_card,rate_card_set_version"),
            card_roles=self._all("rate_card_roles", mapping.CardRole, "role,rate_card_version"),
        )
        for page in self._scan("rate_cards", {"include": "rate_card_set"}):
            read = _page(page, lambda raw: mapping.rate_card(_typed(raw, mapping.Card), known))
            yield Page([Pulled(r.record_id, r.record, r.payload) for r in read.rows if r.record is not None], read.bad)

    def time_entries(self, since: dt.datetime | None) -> Iterator[TimePage]:
        """Yield pages of time entries updated after `since`, oldest change first, those of archived projects too."""
        roles = self._roles()
        asked = {"order": "updated_at:asc", "from_archived_workspaces": "true"}
        if since is not None:
            asked["updated_after"] = since.isoformat()
        for page in self._scan("time_entries", asked):
            yield mapping.time_page(page, roles)

    def _roles(self) -> dict[str, str]:
        return {role.id: role.name for role in self._all("roles", mapping.Role)}

    def _all(self, kind: str, shape: type[T], include: str = "") -> list[T]:
        asked = {"include": include} if include else {}
        return [_typed(raw, shape) for page in self._scan(kind, asked) for _, raw in page]

    def _scan(self, kind: str, asked: dict[str, str]) -> Iterator[Records]:
        """
        Yield the pages of a list, each record version once.

        A record that changes while we read moves to the end and pulls the rest forward, past a page's edge and out
        of sight. So each page starts some records before the end of the last, and must share one with it.
        Raises TransientError when it does not, or when a page brings nothing new.
        """
        skip, before = 0, set[tuple[str, bytes]]()
        for _ in range(_PAGES):
            page = self._page(kind, asked | {"limit": str(_PER_PAGE), "offset": str(skip)})
            versions = {(key, bytes(raw)) for key, raw in page}
            if before and page and not versions & before:
                raise TransientError(f"{self.key}: {kind} moved while they were read; start the read again")
            if len(page) == _PER_PAGE and versions <= before:
                raise TransientError(
                    f"{self.key}: {kind} at offset {skip} repeats the page before; the list does not end"
                )
            yield [(key, raw) for key, raw in page if (key, bytes(raw)) not in before]
            if len(page) < _PER_PAGE:
                return
            skip, before = skip + len(page) - _OVERLAP, versions
        raise TransientError(f"{self.key}: {kind} has more than {_PAGES} pages")

    def _page(self, kind: str, asked: dict[str, str]) -> Records:
        return _records(self._read(f"{_ROOT}/{kind}", asked), kind)

    # -- writes

    def perform(self, effect: OpenEffect) -> str:
        """Send `create_project` or `close_project` and return the workspace's id."""
        if effect.capability == "create_project":
            body = mapping.workspace(effect.payload, effect.key)
            return self._written(self._write(effect, "POST", f"{_ROOT}/workspaces", body), effect)
        path = f"{_ROOT}/workspaces/{quote(self._project(effect), safe='')}"
        return self._written(self._write(effect, "PUT", path, {"workspace": {"archived": True}}), effect)

    def find(self, effect: OpenEffect) -> str | None:
        """
        Return the workspace that carries this effect's key (create) or is archived already (close), or None.

        Raises NeedsReview when more than one carries the key.
        """
        if effect.capability != "create_project":
            project = self._project(effect)
            found = self._workspaces({"only": project})
            return project if any(w.get("archived") is True for w in found) else None
        wanted = mapping.reference(effect.key)
        found = self._workspaces({f"external_reference_{name}": value for name, value in wanted.items()})
        ids = sorted(w["id"] for w in found)
        if len(ids) > 1:
            raise NeedsReview(
                f"{self.key}: workspaces {', '.join(ids)} all carry {effect.key}; keep one, archive the others "
                "and remove their external reference"
            )
        return ids[0] if ids else None

    def url(self, kind: str, external_id: str) -> str:
        """Return the project's page."""
        return f"{self.app_url.rstrip('/')}/workspaces/{quote(external_id, safe='')}"

    def _project(self, effect: OpenEffect) -> str:
        if effect.capability != "close_project":
            raise ConfigurationError(
                f"{self.key} has no capability {effect.capability!r}; it has create_project and close_project"
            )
        return str(effect.payload["psa_project_id"])

    def _workspaces(self, asked: dict[str, str]) -> list[dict[str, Any]]:
        """Return workspaces, archived ones included; with a reference asked for, only those that really carry it."""
        reply = self._read(
            f"{_ROOT}/workspaces", asked | {"include_archived": "true", "include": "external_references"}
        )
        found = [msgspec.json.decode(raw, type=dict[str, Any]) for _, raw in _records(reply, "workspaces")]
        if "only" in asked:
            return [w for w in found if w["id"] == asked["only"]]
        # a filter the vendor does not know is ignored in silence and would hand us everybody's workspaces
        ours = asked["external_reference_service_model_ref"]
        side = msgspec.json.decode(reply.body, type=dict[str, Any]).get("external_references", {})
        refs = {str(r["id"]) for r in side.values() if r.get("service_model_ref") == ours}
        return [w for w in found if refs & set(map(str, w.get("external_reference_ids") or []))]

    def _written(self, reply: Reply, effect: OpenEffect) -> str:
        try:
            return _records(reply, "workspaces")[0][0]
        except (TransientError, IndexError):
            raise UncertainOutcome(f"{self.key}: {effect.key} answered {reply.status} without a workspace") from None

    # -- one request

    def _read(self, path: str, asked: dict[str, str]) -> Reply:
        try:
            return self.transport.read("GET", path, params=asked, headers=self._headers())
        except Rejected as error:
            raise _refined(error, path) from None

    def _write(self, effect: OpenEffect, method: str, path: str, body: dict[str, Any]) -> Reply:
        try:
            return self.transport.write(effect, method, path, json=body, headers=self._headers())
        except Rejected as error:
            raise _refined(error, effect.key) from None

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.bearer}", "Accept": "application/json"}


def _records(reply: Reply, kind: str) -> Records:
    """Return (id, record's text) in the order of `results`; the map alone has none."""
    try:
        top = msgspec.json.decode(reply.body, type=dict[str, msgspec.Raw])
        keys = msgspec.json.decode(top["results"], type=list[_Key])
        held = msgspec.json.decode(top[kind], type=dict[str, msgspec.Raw]) if keys else {}
        return [(k.id, held[k.id]) for k in keys if k.key == kind]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        raise TransientError(f"kantata: an answer for {kind} is not the envelope that was asked for") from None


def _page(records: Records, read: Callable[[msgspec.Raw], T]) -> Page[T]:
    page: Page[T] = Page([], [])
    for record_id, raw in records:
        payload = bytes(raw).decode()
        try:
            page.rows.append(Pulled(record_id, read(raw), payload))
        except (NeedsReview, ValidationError) as error:
            page.bad.append(BadRow(record_id, str(error), payload))
    return page


def _typed(raw: msgspec.Raw, shape: type[T]) -> T:
    """Decode a master record. Raises NeedsReview: rates or people we misread are worse than none."""
    try:
        return msgspec.json.decode(raw, type=shape)
    except msgspec.ValidationError as error:
        raise NeedsReview(f"kantata: {shape.__name__} {bytes(raw)[:120].decode(errors='replace')}: {error}") from None


def _refined(error: Rejected, what: str) -> Rejected:
    said = re.findall(r'"message"\s*:\s*"((?:[^"\\]|\\.)*)"', str(error))
    return Rejected(f"kantata: {what}: {error.code}: {'; '.join(said) or error}", error.code)
