"""
May a won deal start? Six gates, judged together: all reasons at once. Pure: no clock, no I/O.

Legal entity, tax treatment, contract type, delivery region, rate card availability, resource demand.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from psflow.contracts import Contract, LegalEntity, Opportunity, OpportunityLine, RateCard
from psflow.contracts.entities import ContractType

Gate = Literal["legal_entity", "tax_treatment", "contract_type", "delivery_region", "rate_card", "resource_demand"]
GATES: tuple[Gate, ...] = get_args(Gate)


@dataclass(frozen=True, slots=True)
class Failure:
    """One reason why a deal may not start."""

    gate: Gate
    field: str
    value: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What the gates look up: what the CRM writes -> ours, and the PSA's rate cards."""

    legal_entities: Mapping[str, LegalEntity]
    tax_treatments: Mapping[str, str]
    contract_types: Mapping[str, ContractType]
    delivery_regions: Mapping[str, str]
    rate_cards: Sequence[RateCard]


def judge(engagement_id: str, deal: Opportunity, policy: Policy) -> Contract | list[Failure]:
    """Return the contract we would sign, or every reason why not."""
    failures = [*_unmapped(deal, policy), *_demand(deal)]
    card = _card(deal, policy.rate_cards)
    failures += [card] if isinstance(card, Failure) else _unpriced(deal, card)
    if failures or isinstance(card, Failure):
        return sorted(failures, key=lambda failure: GATES.index(failure.gate))
    return Contract(
        contract_id=f"{engagement_id}.C1",
        engagement_id=engagement_id,
        legal_entity_id=policy.legal_entities[deal.legal_entity_value or ""].legal_entity_id,
        contract_type=policy.contract_types[deal.contract_type or ""],
        currency=card.currency,
        rate_card_id=card.rate_card_id,
        tax_treatment=policy.tax_treatments[deal.tax_treatment or ""],
        delivery_region=policy.delivery_regions[deal.delivery_region or ""],
    )


def _unmapped(deal: Opportunity, policy: Policy) -> Iterable[Failure]:
    looked_up: tuple[tuple[Gate, str, str | None, Mapping[str, object]], ...] = (
        ("legal_entity", "legal_entity", deal.legal_entity_value, policy.legal_entities),
        ("tax_treatment", "tax_treatment", deal.tax_treatment, policy.tax_treatments),
        ("contract_type", "contract_type", deal.contract_type, policy.contract_types),
        ("delivery_region", "delivery_region", deal.delivery_region, policy.delivery_regions),
    )
    return [
        _unknown(gate, field, value, known) for gate, field, value, known in looked_up if (value or "") not in known
    ]


def _unknown(gate: Gate, field: str, value: str | None, known: Mapping[str, object]) -> Failure:
    said = f"{value!r} is not one we map" if value else "is empty"
    return Failure(gate, field, value, f"{field} {said}; known: {', '.join(sorted(known)) or 'none'}")


def _demand(deal: Opportunity) -> Iterable[Failure]:
    asking = demand(deal)
    if not asking:
        yield Failure("resource_demand", "lines", None, "no line of the deal says which role is needed for how long")
    for line in asking:
        starts_on, ends_on = line.starts_on or deal.starts_on, line.ends_on or deal.ends_on
        if not line.hours_per_day or not 0 < line.hours_per_day <= 24:
            hours = f"{line.hours_per_day:g}" if line.hours_per_day is not None else None
            yield Failure(
                "resource_demand", f"{line.line_id}.hours_per_day", hours, f"{line.role}: hours a day must be 0 to 24"
            )
        elif starts_on is None or ends_on is None or starts_on > ends_on:
            days = f"{starts_on} to {ends_on}"
            yield Failure(
                "resource_demand", f"{line.line_id}.starts_on", days, f"{line.role}: {days} are no dates to staff for"
            )


def demand(deal: Opportunity) -> list[OpportunityLine]:
    """Return the lines that ask for a role."""
    return [line for line in deal.lines if line.role]


def _card(deal: Opportunity, cards: Sequence[RateCard]) -> RateCard | Failure:
    named = [card for card in cards if card.name == deal.rate_card_name]
    fitting = [card for card in named if card.currency == deal.currency]
    if not named:
        return _unknown("rate_card", "rate_card", deal.rate_card_name, {card.name: card for card in cards})
    if len(fitting) != 1:
        have = ", ".join(sorted(card.currency for card in named))
        return Failure(
            "rate_card", "currency", deal.currency, f"the deal is in {deal.currency}, the rate card in {have}"
        )
    if deal.starts_on is None:
        return Failure("rate_card", "starts_on", None, "the deal has no start date to find its rates by")
    if not any(_covers(rate.valid_from, rate.valid_to, deal.starts_on) for rate in fitting[0].rates):
        return Failure(
            "rate_card", "starts_on", deal.starts_on.isoformat(), "the rate card has no rate on the start date"
        )
    return fitting[0]


def _unpriced(deal: Opportunity, card: RateCard) -> list[Failure]:
    """Return the demanded roles that the card does not price when they start: their hours could not be billed."""
    starts = {str(line.role): line.starts_on or deal.starts_on for line in demand(deal)}
    priced = {
        rate.role for rate in card.rates
        if (day := starts.get(rate.role)) and _covers(rate.valid_from, rate.valid_to, day)
    }  # fmt: skip
    return [
        Failure("rate_card", "role", role, f"rate card {card.name} has no price for {role} on {starts[role]}")
        for role in sorted(starts.keys() - priced)
    ]


def _covers(valid_from: dt.date, valid_to: dt.date | None, day: dt.date) -> bool:
    return valid_from <= day and (valid_to is None or day <= valid_to)
