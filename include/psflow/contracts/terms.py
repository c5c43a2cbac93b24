"""What a contract bills beside hours and expenses: its terms, one kind a rule, and the items the rules make of them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator

from psflow.contracts.values import Amount, Currency, Hours, Id, Record

Positive = Annotated[Decimal, Field(gt=0, max_digits=18, decimal_places=4)]
Percent = Annotated[Decimal, Field(ge=0, max_digits=9, decimal_places=4, description="in percent")]


class MilestoneLine(Record):
    """One deliverable of the price."""

    milestone_id: Id
    title: str = Field(min_length=1)
    share: Positive = Field(description="its part of the price, beside the shares of the other lines")
    agreed: Amount | None = Field(default=None, description="another amount agreed since; None: its share")


class MilestoneTerms(Record):
    """A price in deliverables, each billed whole once it is accepted with evidence."""

    kind: Literal["milestone"] = "milestone"
    price: Positive
    lines: tuple[MilestoneLine, ...] = Field(min_length=1)


class FeeLine(Record):
    """One instalment of a fixed fee."""

    due_on: dt.date
    share: Positive = Field(description="its part of the price, beside the shares of the other lines")


class FixedFeeTerms(Record):
    """A price in instalments, each billed on its day."""

    kind: Literal["fixed_fee"] = "fixed_fee"
    title: str = Field(min_length=1)
    price: Positive
    lines: tuple[FeeLine, ...] = Field(min_length=1)


class RetainerTerms(Record):
    """A monthly fee with hours in it; what is used beyond them has its own rate."""

    kind: Literal["retainer"] = "retainer"
    starts_on: dt.date
    ends_on: dt.date | None = Field(default=None, description="last day, included")
    fee: Positive
    included_hours: Positive
    overage_rate: Positive
    rollover_months: int = Field(default=0, ge=0, description="months for which unused hours may still be used")
    rollover_cap_hours: Hours | None = Field(default=None, ge=0, description="most that is carried; None: all of it")
    order: Literal["fifo", "lifo"] = Field(default="fifo", description="fifo uses hours carried over first")


class FeeFrom(Record):
    """A periodic fee from a day on; an amendment is a row of its own."""

    valid_from: dt.date
    monthly_fee: Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=4)]


class SubscriptionTerms(Record):
    """A monthly fee, prorated by days where a month is not whole or the fee changes in it."""

    kind: Literal["subscription"] = "subscription"
    title: str = Field(min_length=1)
    fees: tuple[FeeFrom, ...] = Field(min_length=1)
    ends_on: dt.date | None = Field(default=None, description="last day, included")


class Pool(Record):
    """An indirect cost in percent of what it is based on: kinds of cost, and pools before it."""

    name: Id
    base: tuple[Id, ...] = Field(min_length=1)
    provisional_pct: Percent
    actual_pct: Percent | None = Field(default=None, description="None until the year is settled")


class CostPlusTerms(Record):
    """Allowable cost with its pools and a fee: provisional each month, trued up to actual rates, up to a ceiling."""

    kind: Literal["cost_plus"] = "cost_plus"
    pools: tuple[Pool, ...] = ()
    fee_pct: Percent | None = Field(default=None, description="moves with cost; either this or fixed_fee")
    fixed_fee: Positive | None = Field(default=None, description="does not move with cost; billed by its monthly part")
    fee_months: int = Field(default=1, ge=1, description="months over which a fixed fee is billed")
    ceiling: Positive | None = Field(default=None, description="most that is billed in all, fee included")

    @model_validator(mode="after")
    def _one_fee(self) -> CostPlusTerms:
        if (self.fee_pct is None) == (self.fixed_fee is None):
            raise ValueError("fee_pct, fixed_fee: give one of the two")
        return self


Terms = Annotated[
    MilestoneTerms | FixedFeeTerms | RetainerTerms | SubscriptionTerms | CostPlusTerms, Field(discriminator="kind")
]


class BillableItem(Record):
    """What a term of a contract bills, worked out anew each time; the ledger keeps what was billed of it."""

    part: Id = Field(description="which part of the term; stable, it is the key of the item")
    label: str = Field(min_length=1, description="as the invoice line says it")
    worked_on: dt.date = Field(description="day of the service, acceptance or fee")
    amount: Amount
    currency: Currency
