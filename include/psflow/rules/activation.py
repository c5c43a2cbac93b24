"""May a won deal start? Two gates, judged together: legal entity and rate card. Pure: no clock, no I/O."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from psflow.contracts import Contract, LegalEntity, Opportunity, RateCard

Gate = Literal["legal_entity", "rate_card"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One reason why a deal may not start."""

    gate: Gate
    field: str
    value: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What the gates look up: CRM value -> legal entity, CRM contract type -> ours, and the PSA's rate cards."""

    legal_entities: Mapping[str, LegalEntity]
    contract_types: Mapping[str, Literal["time_and_materials"]]
    rate_cards: Sequence[RateCard]


def judge(engagement_id: str, deal: Opportunity, policy: Policy) -> Contract | list[Failure]:
    """Return the contract we would sign, or every reason why not."""
    entity = policy.legal_entities.get(deal.legal_entity_value or "")
    kind = policy.contract_types.get(deal.contract_type or "")
    card = _card(deal, policy.rate_cards)
    failures = [
        *([] if entity else [_unknown("legal_entity", "legal_entity", deal.legal_entity_value, policy.legal_entities)]),
        *([] if kind else [_unknown("legal_entity", "contract_type", deal.contract_type, policy.contract_types)]),
        *([card] if isinstance(card, Failure) else []),
    ]
    if failures or entity is None or kind is None or isinstance(card, Failure):
        return failures
    return Contract(
        contract_id=f"{engagement_id}.C1",
        engagement_id=engagement_id,
        legal_entity_id=entity.legal_entity_id,
        contract_type=kind,
        currency=card.currency,
        rate_card_id=card.rate_card_id,
    )


def _unknown(gate: Gate, field: str, value: str | None, known: Mapping[str, object]) -> Failure:
    said = f"{value!r} is not one we map" if value else "is empty"
    return Failure(gate, field, value, f"{field} {said}; known: {', '.join(sorted(known)) or 'none'}")


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


def _covers(valid_from: dt.date, valid_to: dt.date | None, day: dt.date) -> bool:
    return valid_from <= day and (valid_to is None or day <= valid_to)
