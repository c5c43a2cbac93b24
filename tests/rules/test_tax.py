"""Which tax work takes: one rule or none, by treatment, buyer and day; what is missing is named."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from psflow.contracts import LegalEntity, TaxRule
from psflow.rules.tax import Buyer, is_valid, taxes_of, why_none

DAY = dt.date(2026, 10, 5)
BERLIN, LYON, OSLO = Buyer("DE", None), Buyer("FR", "FR12345678901"), Buyer("NO", None)


def rule(treatment: str = "vat", category: str = "S", pct: str = "19", **more: Any) -> TaxRule:
    why = None if category in ("S", "Z") else f"VATEX-EU-{category}"
    plain = {"treatment": treatment, "category": category, "rate_pct": pct, "reason_code": why, "erp_tax": "tax"}
    return TaxRule(**(plain | more))


def entity(*rules: TaxRule) -> LegalEntity:
    named = {"legal_entity_id": "MER-EU", "name": "EU", "currency": "EUR", "crm_values": ("EU",), "erp_company": "EU"}
    return LegalEntity(**named, taxes=rules)


ABROAD = rule("abroad", "AE", "0", countries=("FR",))


def test_a_rule_that_names_the_country_goes_before_one_for_anywhere() -> None:
    anywhere, here = rule(category="O", pct="0"), rule(countries=("DE",))
    assert taxes_of([anywhere, here], "vat", BERLIN) == [here]
    assert taxes_of([anywhere, here], "vat", OSLO) == [anywhere] == taxes_of([anywhere], "vat", Buyer(None, None))


def test_reverse_charge_takes_a_vat_id_that_can_be_one() -> None:
    assert taxes_of([ABROAD], "abroad", LYON) == [ABROAD]
    for vat_id in (None, "", "12345", "fr123"):
        buyer = Buyer("FR", vat_id)
        assert taxes_of([ABROAD], "abroad", buyer) == []
        assert why_none([ABROAD], "abroad", buyer, DAY)[:2] == ("vat_id", vat_id)


def test_what_is_missing_is_named_by_its_field() -> None:
    since = rule(countries=("DE",), valid_from=dt.date(2027, 1, 1))
    assert why_none([since], None, BERLIN, DAY)[0] == "tax_treatment"
    assert why_none([since], "vat", OSLO, DAY)[0] == "country"
    assert why_none([since], "vat", BERLIN, DAY)[0] == "valid_from"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"pct": "0"}, "category S takes a rate above 0"),
        ({"category": "AE", "pct": "19"}, "category AE takes no rate"),
        ({"category": "E", "pct": "0", "reason_code": None}, "category E takes a reason_code"),
        ({"reason_code": "VATEX-EU-O"}, "category S takes no reason_code"),
        ({"valid_from": DAY, "valid_to": DAY - dt.timedelta(1)}, "is after valid_to"),
    ],
)
def test_a_rule_that_cannot_be_posted_is_refused(more: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        rule(**more)


DAYS = st.none() | st.dates(dt.date(2026, 1, 1), dt.date(2026, 1, 9))
RULES = st.builds(
    lambda where, start, end, pct: rule(countries=where, valid_from=start, valid_to=end, pct=str(pct)),
    st.sampled_from((None, ("DE",), ("DE", "AT"), ("AT",))), DAYS, DAYS.map(lambda day: day and day + dt.timedelta(9)),
    st.integers(1, 99),
)  # fmt: skip


@given(rules=st.lists(RULES, max_size=4), on=st.dates(dt.date(2026, 1, 1), dt.date(2026, 1, 20)))
def test_a_company_has_one_tax_for_a_buyer_and_a_day_or_refuses_its_rules(rules: list[TaxRule], on: dt.date) -> None:
    try:
        taxes = entity(*rules).taxes
    except ValidationError as error:
        assert "both fit" in str(error)
        return
    for country in ("DE", "AT", "FR", None):
        found = [each for each in taxes_of(taxes, "vat", Buyer(country, None)) if is_valid(each, on)]
        assert len(found) <= 1 and all(each.rate_pct > Decimal(0) for each in found)
