"""What one company of ours is owed by another for an hour its people work there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

from pydantic import Field, model_validator

from psflow.contracts.values import Amount, Currency, Id, Record


class TransferRule(Record):
    """
    What a lender is owed for an hour on a contract of the borrower, between two days of the work. Owner: configuration.

    It has one price: an hourly rate by role, the hour's cost and so many percent, or percent of what it is billed at.
    """

    lender: Id = Field(description="legal entity that employs the person")
    borrower: Id = Field(description="legal entity that signed the contract")
    currency: Currency
    rates: dict[Id, Annotated[Amount, Field(gt=0)]] | None = Field(default=None, min_length=1)
    cost_plus_pct: Annotated[Decimal, Field(ge=0, max_digits=8, decimal_places=4)] | None = None
    pct_of_bill: Annotated[Decimal, Field(gt=0, le=100, max_digits=7, decimal_places=4)] | None = None
    valid_from: dt.date | None = Field(default=None, description="first day of work; None: always")
    valid_to: dt.date | None = Field(default=None, description="last day of work, included; None: no end")

    @model_validator(mode="after")
    def _is_whole(self) -> TransferRule:
        prices = [name for name in ("rates", "cost_plus_pct", "pct_of_bill") if getattr(self, name) is not None]
        if len(prices) != 1:
            raise ValueError(
                f"a rule has one of rates, cost_plus_pct and pct_of_bill, not {' and '.join(prices) or 'none'}"
            )
        if self.lender == self.borrower:
            raise ValueError(f"{self.lender} lends nobody to itself; name two legal entities")
        if self.valid_from and self.valid_to and self.valid_from > self.valid_to:
            raise ValueError(f"valid_from {self.valid_from} is after valid_to {self.valid_to}")
        return self

    def overlaps(self, other: TransferRule) -> bool:
        """Whether both price one hour."""
        first, last = (self.valid_from or dt.date.min), (self.valid_to or dt.date.max)
        is_pair = (self.lender, self.borrower) == (other.lender, other.borrower)
        return is_pair and first <= (other.valid_to or dt.date.max) and (other.valid_from or dt.date.min) <= last


def defect(rules: Sequence[TransferRule], ours: set[str]) -> str | None:
    """Return what is wrong with rules beside each other, None when nothing is."""
    for at, rule in enumerate(rules):
        if strange := {rule.lender, rule.borrower} - ours:
            return f"rule {at + 1} names {sorted(strange)}; legal entities: {sorted(ours)}"
        for before, other in enumerate(rules[:at]):
            if rule.overlaps(other):
                return f"rules {before + 1} and {at + 1} both price what {rule.lender} lends {rule.borrower}; end one"
    return None
