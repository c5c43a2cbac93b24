"""
Kantata records <-> contracts. Pure; the vendor's words end here.

Rates are integers in the currency's smallest unit per hour. A role without a rate of its own is billed at its
version's default rate (developer.kantata.com, Rate Card Role). A set version prices from its effective date
until the day before the next published one of its set.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

import msgspec

from psflow.contracts import Rate, RateCard, Resource
from psflow.errors import NeedsReview

Id = Annotated[str, msgspec.Meta(min_length=1)]
Text = Annotated[str, msgspec.Meta(pattern="^[^\x00]*$")]  # no database takes a NUL
Aware = Annotated[dt.datetime, msgspec.Meta(tz=True)]

# ISO 4217 currencies without a smaller unit, and those with a thousand
_NO_CENTS = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
)
_MILLS = frozenset(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"))
_ALWAYS = dt.date(1970, 1, 1)  # a published version without a date has priced from the beginning


class Role(msgspec.Struct):
    """roles."""

    id: Id
    name: str


class User(msgspec.Struct):
    """users."""

    id: Id
    full_name: str
    email_address: str | None = None
    role_id: Id | None = None
    disabled: bool = False


class SkillMembership(msgspec.Struct):
    """skill_memberships: who can do what."""

    user_id: Id
    cached_skill_name: Id


class Template(msgspec.Struct):
    """project_templates."""

    id: Id
    title: str


class Place(msgspec.Struct):
    """workspace_resources: a person's place on a workspace; nobody's yet when it has no user."""

    id: Id
    workspace_id: Id | None = None
    user_id: Id | None = None


class Demand(msgspec.Struct):
    """staffing_demands, as far as one is found again."""

    id: Id
    description: str | None = None


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


def resource(user: User, roles: dict[str, str], skills: dict[str, list[str]]) -> Resource:
    """Return the person; `disabled` means gone."""
    return Resource(
        resource_id=user.id,
        name=user.full_name,
        role=roles.get(user.role_id or ""),
        is_active=not user.disabled,
        work_email=user.email_address.lower() if user.email_address else None,
        skills=tuple(skills.get(user.id, ())),
    )


def skills(held: list[SkillMembership]) -> dict[str, list[str]]:
    """Return person id -> names of skills, in order and once each."""
    by_person: dict[str, set[str]] = {}
    for each in held:
        by_person.setdefault(each.user_id, set()).add(each.cached_skill_name)
    return {person: sorted(names) for person, names in by_person.items()}


def rate_card(card: Card, known: Rates) -> RateCard | None:
    """
    Return the card with its dated rates, or None when nothing on it has a price.

    Raises NeedsReview when two roles of one name have two prices: an hour knows its role by name.
    """
    rates = _one_price_each(card, _rates(card, known))
    if not rates or card.rate_card_set_id not in known.sets:
        return None
    return RateCard(
        rate_card_id=card.id, name=known.sets[card.rate_card_set_id].title, currency=card.currency, rates=rates
    )


def _one_price_each(card: Card, rates: Iterator[Rate]) -> tuple[Rate, ...]:
    found = dict[tuple[str, dt.date], Rate]()
    for rate in rates:
        other = found.setdefault((rate.role, rate.valid_from), rate)
        if other.hourly_rate != rate.hourly_rate:
            raise NeedsReview(
                f"kantata: rate card {card.id}: two roles are called {rate.role!r} and cost {other.hourly_rate} and "
                f"{rate.hourly_rate} from {rate.valid_from}; rename one of them or price them alike"
            )
    return tuple(found.values())


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
    """
    Return set version id -> (first day, last day or None) of the published versions.

    Raises NeedsReview when two of them start on one day: nobody can say which of them prices it.
    """
    published = [v for v in versions if v.rate_card_set_id == set_id and v.active]
    published.sort(key=lambda v: v.effective_date or _ALWAYS)
    starts = [v.effective_date or _ALWAYS for v in published]
    for one, other, day in zip(published, published[1:], starts[1:], strict=False):
        if (one.effective_date or _ALWAYS) == day:
            raise NeedsReview(
                f"kantata: rate card set {set_id}: versions {one.id} and {other.id} both start on {day}; unpublish one"
            )
    ends: list[dt.date | None] = [day - dt.timedelta(days=1) for day in starts[1:]]
    return {v.id: (start, end) for v, start, end in zip(published, starts, [*ends, None], strict=False)}


def major(subunits: int, currency: str) -> Decimal:
    """Return an amount in main units: 12550 is 125.50 in USD, 12550 in JPY and 12.550 in KWD."""
    return Decimal(subunits).scaleb(0 if currency in _NO_CENTS else -3 if currency in _MILLS else -2)
