"""May a won deal start: six gates judged together, every reason at once."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from psflow.contracts import Contract, LegalEntity, Opportunity, OpportunityLine, Rate, RateCard
from psflow.rules.activation import GATES, Failure, Policy, judge

KICKOFF = dt.date(2026, 11, 9)
NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


def line(**fields: Any) -> OpportunityLine:
    known = {"line_id": "L1", "quantity": 1, "unit_price": 1, "role": "Consultant", "hours_per_day": Decimal(8)}
    return OpportunityLine(**(known | fields))


def deal(**fields: Any) -> Opportunity:
    known = {
        "opportunity_id": "006", "account_id": "001", "name": "Rollout", "is_won": True, "is_closed": True,
        "currency": "EUR", "legal_entity_value": "Meridian EU", "tax_treatment": "EU reverse charge",
        "contract_type": "Time and Materials", "delivery_region": "Europe", "rate_card_name": "Standard",
        "starts_on": KICKOFF, "ends_on": dt.date(2026, 12, 18), "modified_at": NOW, "lines": (line(),),
    }  # fmt: skip
    return Opportunity(**(known | fields))


def card(currency: str = "EUR", role: str = "Consultant", **dates: Any) -> RateCard:
    rate = Rate(
        role=role,
        valid_from=dates.get("valid_from", dt.date(2026, 1, 1)),
        valid_to=dates.get("valid_to"),
        hourly_rate=150,
    )
    return RateCard(rate_card_id=f"RC-{currency}", name="Standard", currency=currency, rates=(rate,))


def policy(*cards: RateCard) -> Policy:
    entity = LegalEntity(
        legal_entity_id="MER-EU", name="Meridian", currency="EUR", crm_values=("Meridian EU",), erp_company="M"
    )
    return Policy(
        {"Meridian EU": entity}, {"EU reverse charge": "eu_reverse_charge"},
        {"Time and Materials": "time_and_materials"},
        {"Europe": "EU"}, cards or (card(),),
    )  # fmt: skip


def failures(deal: Opportunity, policy: Policy) -> list[Failure]:
    verdict = judge("E-1", deal, policy)
    assert isinstance(verdict, list)
    return verdict


def test_a_complete_deal_becomes_a_contract_in_our_words() -> None:
    assert judge("E-1", deal(), policy()) == Contract(
        contract_id="E-1.C1", engagement_id="E-1", legal_entity_id="MER-EU", contract_type="time_and_materials",
        currency="EUR", rate_card_id="RC-EUR", tax_treatment="eu_reverse_charge", delivery_region="EU",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "gate", "words"),
    [
        ({"legal_entity_value": "Meridian Benelux"}, "legal_entity", "is not one we map; known: Meridian EU"),
        ({"legal_entity_value": None}, "legal_entity", "is empty"),
        ({"tax_treatment": None}, "tax_treatment", "is empty"),
        ({"tax_treatment": "VAT?"}, "tax_treatment", "'VAT?' is not one we map"),
        ({"contract_type": "Handshake"}, "contract_type", "'Handshake' is not one we map"),
        ({"delivery_region": "Mars"}, "delivery_region", "known: Europe"),
        ({"rate_card_name": "Gold"}, "rate_card", "'Gold' is not one we map; known: Standard"),
        ({"currency": "GBP"}, "rate_card", "the deal is in GBP, the rate card in EUR"),
        ({"starts_on": dt.date(2025, 12, 31)}, "rate_card", "no rate on the start date"),
        ({"lines": ()}, "resource_demand", "which role is needed"),
        ({"lines": (line(role=None),)}, "resource_demand", "which role is needed"),
        ({"lines": (line(hours_per_day=None),)}, "resource_demand", "hours a day must be 0 to 24"),
        ({"lines": (line(hours_per_day=Decimal(0)),)}, "resource_demand", "hours a day must be 0 to 24"),
        ({"lines": (line(ends_on=dt.date(2026, 11, 1)),)}, "resource_demand", "no dates to staff for"),
        ({"lines": (line(role="Architect"),)}, "rate_card", "no price for Architect on 2026-11-09"),
    ],
)  # fmt: skip
def test_each_gate_says_what_is_wrong_with_which_field(change: dict[str, Any], gate: str, words: str) -> None:
    (failure,) = failures(deal(**change), policy())
    assert failure.gate == gate
    assert words in failure.message


def test_a_role_is_priced_on_the_day_it_starts_not_when_the_deal_does() -> None:
    later = line(starts_on=dt.date(2026, 12, 1))
    ending = card(valid_to=dt.date(2026, 11, 30))
    (failure,) = failures(deal(lines=(later,)), policy(ending))
    assert (failure.gate, failure.value) == ("rate_card", "Consultant")


def test_all_failures_come_at_once_in_the_order_of_the_gates() -> None:
    broken = deal(legal_entity_value=None, tax_treatment=None, contract_type=None, delivery_region=None,
                  rate_card_name=None, lines=())  # fmt: skip
    assert [failure.gate for failure in failures(broken, policy())] == list(GATES)
