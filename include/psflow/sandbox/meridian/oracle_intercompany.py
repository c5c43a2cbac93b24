"""What Meridian's two companies must owe each other: by hand from the plan, no line is shared with the pipeline."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from psflow.sandbox.meridian.deals import BILLING_START, ENTITIES
from psflow.sandbox.meridian.exchange import worth
from psflow.sandbox.meridian.oracle import after
from psflow.sandbox.meridian.plan import Firm, current
from psflow.sandbox.meridian.planner import cost
from psflow.sandbox.meridian.work import Entry

Owed = dict[tuple[str, str, str, str], Decimal]  # (lender, borrower, month, currency) -> money

_US, _EU = "MER-US", "MER-EU"
_RATES = {"Partner": "212", "Engagement Manager": "160", "Consultant": "118", "Analyst": "79", "Engineer": "98.50"}


def owed() -> Owed:
    """Return what each company owes the other for the approved hours of its people since our first day."""
    firm, found = current(), Owed()
    for entry in after(firm):
        lender, borrower = _pair(firm, entry)
        if lender == borrower or not entry.is_approved or entry.is_held or entry.worked_on < BILLING_START:
            continue
        if price := _price(firm, lender, entry):
            currency = "EUR" if lender == _EU else "USD"
            key = lender, borrower, f"{entry.worked_on:%Y-%m}", currency
            found[key] = found.get(key, Decimal()) + _cents(price * entry.minutes / 60)
    return found


def _pair(firm: Firm, entry: Entry) -> tuple[str, str]:
    """Return who employs the person of an hour and who signed its deal; the same of work on no deal."""
    lender = ENTITIES[firm.person(entry.person).employer(entry.worked_on)]
    return lender, (firm.deal(entry.deal).legal_entity_id or lender) if entry.deal else lender


def _price(firm: Firm, lender: str, entry: Entry) -> Fraction | None:
    """Return an hour's price: the Americans lend at rates by role, the Europeans at cost and an eighth, in euro."""
    if lender == _US:
        return Fraction(_RATES[entry.role]) if entry.role in _RATES else None
    dollars = Fraction(cost(firm.person(entry.person)))
    return dollars * Fraction(worth("USD", "EUR", entry.worked_on)) * Fraction(9, 8)


def _cents(exact: Fraction) -> Decimal:
    """Return money to the cent, half away from zero; lent hours are never below zero here."""
    return Decimal(int(exact * 100 + Fraction(1, 2))).scaleb(-2)
