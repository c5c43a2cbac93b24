"""
Which tax does work take? By the treatment of the contract, the buyer's country and VAT id, and the day. Pure.

What no rule says is an answer of its own, never 0 %: the document waits.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass

from psflow.contracts import TaxRule

_VAT_ID = re.compile(r"[A-Z]{2}[0-9A-Z+*]{2,13}")


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who buys: country as the CRM writes it, VAT id with its country's letters first."""

    country: str | None
    vat_id: str | None

    @property
    def has_vat_id(self) -> bool:
        """Whether there is a VAT id that can be one."""
        return bool(self.vat_id and _VAT_ID.fullmatch(self.vat_id))


def taxes_of(rules: Sequence[TaxRule], treatment: str | None, buyer: Buyer) -> list[TaxRule]:
    """Return the rules of a buyer's work, each with its days; a rule that lacks the buyer's VAT id is left out."""
    return [rule for rule in _fitting(rules, treatment, buyer) if buyer.has_vat_id or not rule.takes_vat_id]


def why_none(rules: Sequence[TaxRule], treatment: str | None, buyer: Buyer, on: dt.date) -> tuple[str, str | None, str]:
    """Return field, value and words for work that no tax fits on a day."""
    ours = sorted({rule.treatment for rule in rules})
    if treatment not in ours:
        return "tax_treatment", treatment, f"no tax is set for treatment {treatment!r}; psflow.yaml has {ours}"
    fitting = _fitting(rules, treatment, buyer)
    if not fitting:
        return "country", buyer.country, f"treatment {treatment!r} has no tax for a buyer in {buyer.country!r}"
    if not any(is_valid(rule, on) for rule in fitting):
        return "valid_from", on.isoformat(), f"treatment {treatment!r} has no tax for work on {on}"
    said = f"treatment {treatment!r} names the customer's VAT id on the document, and the CRM says {buyer.vat_id!r}"
    return "vat_id", buyer.vat_id, said


def is_valid(rule: TaxRule, on: dt.date) -> bool:
    """Whether a rule is about work on a day."""
    return (rule.valid_from or dt.date.min) <= on <= (rule.valid_to or dt.date.max)


def _fitting(rules: Sequence[TaxRule], treatment: str | None, buyer: Buyer) -> list[TaxRule]:
    """Return the rules of the buyer's country; those for anywhere when none names it."""
    known = [rule for rule in rules if rule.treatment == treatment]
    there = [rule for rule in known if rule.countries and buyer.country in rule.countries]
    return there or [rule for rule in known if rule.countries is None]
