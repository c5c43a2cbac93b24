"""What is agreed with a customer beside a contract's terms: limits, prices, steps, and what is paid of an expense."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator

from psflow.contracts.terms import Percent, Positive
from psflow.contracts.values import Currency, Id, Record

Used = Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=3)]


class Agreement(Record):
    """The head of one contract's agreements; its lists are checked one by one."""

    currency: Currency = Field(description="of every amount below it; the contract's")
    agreed_on: dt.date
    reason: str = Field(min_length=1, description="where it is written down, e.g. the statement of work")


class AgreedCap(Record):
    """Not to exceed. A soft limit warns; a hard one splits the entry at the limit, or holds it whole."""

    level: Literal["entry", "contract", "customer", "line", "customer_on_line"]
    line: Id | None = Field(default=None, description="contract line, of the levels that have one")
    limit_amount: Used
    on_excess: Literal["split", "hold", "warn"] = "split"
    counts: Literal["fees", "fees_and_expenses"] = "fees"
    warn_at_pct: Annotated[Decimal, Field(gt=0, max_digits=5, decimal_places=2)] = Decimal(100)
    invoiced_elsewhere: Used = Decimal(0)
    committed_elsewhere: Used = Decimal(0)

    @model_validator(mode="after")
    def _line_where_it_hangs(self) -> AgreedCap:
        if (self.line is None) == ("line" in self.level):
            raise ValueError("line: give it for the levels line and customer_on_line, and for no other")
        return self


class AgreedOrder(Record):
    """A customer's purchase order, which pays up to an amount. Without a number: only that work needs one."""

    number: Id | None = None
    line: Id | None = Field(default=None, description="contract line; None: all of the contract")
    amount: Positive | None = None
    valid_from: dt.date | None = None
    valid_to: dt.date | None = Field(default=None, description="last day of the work, included")
    required: bool = Field(default=True, description="work on a day without an order waits; false: it takes none")

    @model_validator(mode="after")
    def _is_an_order_or_a_rule(self) -> AgreedOrder:
        said = (self.number, self.amount, self.valid_from)
        if any(value is None for value in said) and any(value is not None for value in (*said, self.valid_to)):
            raise ValueError("number, amount, valid_from: an order has all three; one that is only required has none")
        if self.number is None and not self.required:
            raise ValueError("number: give one, or say that one is required")
        if self.valid_from and self.valid_to and self.valid_to < self.valid_from:
            raise ValueError("valid_to: is before valid_from")
        return self


class Share(Record):
    """What one customer pays of a contract."""

    customer: Id = Field(description="our id of it; the project's own customer or another")
    share_pct: Annotated[Percent, Field(gt=0, le=100, max_digits=7)]
    residue: bool = Field(default=False, description="its part is not rounded: it takes what the others leave")


class AgreedPayers(Record):
    """Who pays for the work from a day on, each how much of every charge; the next such day ends it."""

    valid_from: dt.date
    shares: tuple[Share, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _pays_all(self) -> AgreedPayers:
        if len({share.customer for share in self.shares}) < len(self.shares):
            raise ValueError("shares: names a customer twice")
        if (total := sum(share.share_pct for share in self.shares)) != 100:
            raise ValueError(f"shares: come to {total} percent, not to 100")
        if sum(share.residue for share in self.shares) != 1:
            raise ValueError("shares: exactly one customer takes the residue; say residue: true")
        return self


class AgreedRate(Record):
    """A price an hour or a day of a role or a person between two days, both included; for all hours or for overtime."""

    level: Literal["contract_line", "contract", "customer"] = "contract"
    line: Id | None = Field(default=None, description="contract line, of level contract_line")
    role: Id | None = None
    resource_id: Id | None = None
    region: Id | None = None
    valid_from: dt.date
    valid_to: dt.date | None = None
    hourly_rate: Positive | None = Field(default=None, description="either this or day_rate")
    day_rate: Positive | None = None
    hours_per_day: Annotated[Decimal, Field(gt=0, le=24, max_digits=4, decimal_places=2)] | None = Field(
        default=None, description="hours that a day has, of a day_rate"
    )
    is_overtime: bool = Field(default=False, description="only for hours that are overtime")

    @model_validator(mode="after")
    def _by_one_unit(self) -> AgreedRate:
        if (self.hourly_rate is None) == (self.day_rate is None):
            raise ValueError("hourly_rate, day_rate: give one of the two")
        if (self.day_rate is None) != (self.hours_per_day is None):
            raise ValueError("hours_per_day: give it with a day_rate, and with no other")
        return self

    @model_validator(mode="after")
    def _of_somebody(self) -> AgreedRate:
        if self.role is None and self.resource_id is None:
            raise ValueError("role, resource_id: give at least one of the two")
        if (self.line is None) == (self.level == "contract_line"):
            raise ValueError("line: give it for the level contract_line, and for no other")
        if self.valid_to and self.valid_to < self.valid_from:
            raise ValueError("valid_to: is before valid_from")
        return self


class AgreedOvertime(Record):
    """From how many hours of one person on the contract what is more is overtime, between two days, both included."""

    valid_from: dt.date
    valid_to: dt.date | None = None
    per: Literal["day", "week"] = Field(default="day", description="a week begins on Monday")
    after_hours: Annotated[Decimal, Field(gt=0, le=168, max_digits=5, decimal_places=2)]
    multiplier: Annotated[Decimal, Field(gt=1, lt=10, max_digits=5, decimal_places=4)] | None = Field(
        default=None, description="times the price the hour has otherwise; None: there are rates with is_overtime"
    )

    @model_validator(mode="after")
    def _is_a_span(self) -> AgreedOvertime:
        if self.valid_to and self.valid_to < self.valid_from:
            raise ValueError("valid_to: is before valid_from")
        if self.after_hours * 60 % 1:
            raise ValueError("after_hours: is not a whole number of minutes")
        return self


class AgreedIncrement(Record):
    """The steps in which the customer is billed, from a day on."""

    valid_from: dt.date
    minutes: int = Field(default=1, gt=0)
    rounding: Literal["up", "nearest"] = "up"
    per: Literal["entry", "day"] = "entry"
    minimum_minutes: int = Field(default=0, ge=0)


class AgreedExpense(Record):
    """What the customer pays of a category of expenses, from a day on."""

    category: Id
    valid_from: dt.date
    markup_pct: Annotated[Percent, Field(le=999)] = Decimal(0)
    unit_limit: Positive | None = Field(default=None, description="at most this a unit, before the markup")
    unit_price: Positive | None = Field(default=None, description="a price a unit instead of the cost")

    @model_validator(mode="after")
    def _one_of_two(self) -> AgreedExpense:
        if self.unit_limit is not None and self.unit_price is not None:
            raise ValueError("unit_limit, unit_price: give at most one of the two")
        return self
