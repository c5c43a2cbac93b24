"""
Kantata records <-> contracts. Pure; the vendor's words end here.

Rates are integers in the currency's smallest unit per hour. A role without a rate of its own is billed at its
version's default rate (developer.kantata.com, Rate Card Role). A set version prices from its effective date
until the day before the next published one of its set.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from psflow.contracts import Rate, RateCard, Resource
from psflow.systems.ports import BadRow, Raw, TimeEntryRow, TimePage

Id = Annotated[str, msgspec.Meta(min_length=1)]
Aware = Annotated[dt.datetime, msgspec.Meta(tz=True)]

# ISO 4217 currencies without a smaller unit
_NO_CENTS = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
)
_ALWAYS = dt.date(1970, 1, 1)  # a published version without a date has priced from the beginning


class TimeEntry(msgspec.Struct):
    """time_entries, as documented."""

    id: Id
    updated_at: Aware
    workspace_id: Id | None = None
    user_id: Id | None = None
    role_id: Id | None = None
    date_performed: dt.date | None = None
    time_in_minutes: int | None = None
    billable: bool | None = None
    approved: bool | None = None
    notes: str | None = None


class Role(msgspec.Struct):
    """roles."""

    id: Id
    name: str


class User(msgspec.Struct):
    """users."""

    id: Id
    full_name: str
    role_id: Id | None = None
    disabled: bool = False


class Card(msgspec.Struct):
    """rate_cards: one currency of a set."""

    id: Id
    currency: str
    rate_card_set_id: Id


class CardSet(msgspec.Struct):
    """rate_card_sets: what people call a rate card."""

    id: Id
    title: str


class SetVersion(msgspec.Struct):
    """rate_card_set_versions: the dates. `active` means published."""

    id: Id
    rate_card_set_id: Id
    active: bool = False
    effective_date: dt.date | None = None


class CardVersion(msgspec.Struct):
    """rate_card_versions: one card within one set version."""

    id: Id
    rate_card_id: Id
    rate_card_set_version_id: Id
    default_rate: int | None = None


class CardRole(msgspec.Struct):
    """rate_card_roles: the rate of one role within one version."""

    id: Id
    rate_card_version_id: Id
    role_id: Id
    rate: int


class Rates(msgspec.Struct):
    """Everything the rates of all cards are made of; small, always read whole."""

    roles: dict[str, str]
    sets: dict[str, CardSet]
    set_versions: list[SetVersion]
    versions: list[CardVersion]
    card_roles: list[CardRole]


def time_entry_row(entry: TimeEntry, payload: Raw, roles: dict[str, str]) -> TimeEntryRow:
    """Return one row; a role id nobody knows leaves the role empty for the gate."""
    return TimeEntryRow(
        time_entry_id=entry.id,
        project_ref=entry.workspace_id,
        resource_ref=entry.user_id,
        worked_on=entry.date_performed,
        minutes=entry.time_in_minutes,
        role=roles.get(entry.role_id or ""),
        is_billable=entry.billable,
        is_approved=entry.approved,
        notes=entry.notes,
        modified_at=entry.updated_at,
        payload=payload,
    )


def time_page(records: Sequence[tuple[str, msgspec.Raw]], roles: dict[str, str]) -> TimePage:
    """Return a page typed: decoded whole, and record by record only when one of them is not as documented."""
    texts = [bytes(raw) for _, raw in records]
    try:
        entries = msgspec.json.decode(b"[" + b",".join(texts) + b"]", type=list[TimeEntry])
    except msgspec.ValidationError:
        return _one_by_one(records, roles)
    return TimePage([time_entry_row(e, text.decode(), roles) for e, text in zip(entries, texts, strict=True)], [])


def _one_by_one(records: Sequence[tuple[str, msgspec.Raw]], roles: dict[str, str]) -> TimePage:
    page = TimePage([], [])
    for record_id, raw in records:
        payload = bytes(raw).decode()
        try:
            page.rows.append(time_entry_row(msgspec.json.decode(raw, type=TimeEntry), payload, roles))
        except msgspec.ValidationError as error:
            page.bad.append(BadRow(record_id, str(error), payload))
    return page


def resource(user: User, roles: dict[str, str]) -> Resource:
    """Return the person; `disabled` means gone."""
    return Resource(
        resource_id=user.id, name=user.full_name, role=roles.get(user.role_id or ""), is_active=not user.disabled
    )


def rate_card(card: Card, known: Rates) -> RateCard | None:
    """Return the card with its dated rates, or None when nothing on it has a price."""
    rates = tuple(_rates(card, known))
    if not rates or card.rate_card_set_id not in known.sets:
        return None
    return RateCard(
        rate_card_id=card.id, name=known.sets[card.rate_card_set_id].title, currency=card.currency, rates=rates
    )


def _rates(card: Card, known: Rates) -> Iterator[Rate]:
    spans = _spans(card.rate_card_set_id, known.set_versions)
    for version in known.versions:
        if version.rate_card_id != card.id or version.rate_card_set_version_id not in spans:
            continue
        starts, ends = spans[version.rate_card_set_version_id]
        own = {r.role_id: r.rate for r in known.card_roles if r.rate_card_version_id == version.id}
        for role_id, role in known.roles.items():
            # a default of 0 is one nobody set: a missing rate is an exception later, never a price of 0
            cents = own.get(role_id, version.default_rate or None)
            if cents is not None:
                yield Rate(role=role, valid_from=starts, valid_to=ends, hourly_rate=major(cents, card.currency))


def _spans(set_id: str, versions: list[SetVersion]) -> dict[str, tuple[dt.date, dt.date | None]]:
    """Return set version id -> (first day, last day or None) of the published versions."""
    published = [v for v in versions if v.rate_card_set_id == set_id and v.active]
    published.sort(key=lambda v: v.effective_date or _ALWAYS)
    starts = [v.effective_date or _ALWAYS for v in published]
    ends: list[dt.date | None] = [day - dt.timedelta(days=1) for day in starts[1:]]
    return {v.id: (start, end) for v, start, end in zip(published, starts, [*ends, None], strict=False)}


def major(subunits: int, currency: str) -> Decimal:
    """Return an amount in main units: 12550 is 125.50 in USD and 12550 in JPY."""
    return Decimal(subunits) if currency in _NO_CENTS else Decimal(subunits).scaleb(-2)


def reference(key: str) -> dict[str, str]:
    """Return the external reference a record of ours carries."""
    return {"service_name": "psflow", "service_model": "Engagement", "service_model_ref": key}


def workspace(payload: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the body of a create; absent values are left out, since null would overwrite the vendor's default."""
    fields = {
        "title": payload.get("title") or payload["name"],
        "creator_role": "maven",  # we are the provider
        "description": f"{payload['project_code']} · {payload['engagement_id']} · epoch {payload['epoch']}",
        "currency": payload.get("currency"),
        "rate_card_id": payload.get("rate_card_id"),
        "start_date": payload.get("starts_on"),
        "due_date": payload.get("ends_on"),
        "external_reference": reference(key),
    }
    return {"workspace": {name: value for name, value in fields.items() if value is not None}}
