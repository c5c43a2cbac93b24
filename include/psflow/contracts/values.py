"""Values that carry their unit: money with its currency, a period with its bounds, an id with its system."""

from __future__ import annotations

import calendar
import datetime as dt
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Record(BaseModel):
    """Base of every contract: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code")]
Amount = Annotated[Decimal, Field(max_digits=18, decimal_places=4, description="in the currency beside it")]
Hours = Annotated[Decimal, Field(max_digits=12, decimal_places=4, description="worked or billed hours")]
DayHours = Annotated[Decimal, Field(ge=0, le=24, max_digits=4, decimal_places=2, description="hours of one day")]
Id = Annotated[str, Field(min_length=1, max_length=200)]


def _aware(value: dt.datetime) -> dt.datetime:
    if value.tzinfo is None:
        raise ValueError("a time stamp needs its time zone")
    return value


Instant = Annotated[dt.datetime, AfterValidator(_aware), Field(description="with time zone")]


class Money(Record):
    """An amount that knows its currency."""

    amount: Amount
    currency: Currency


class Ref(Record):
    """One record's id in one instance of one system."""

    system: Id
    instance: Id
    id: Id


class Period(Record):
    """A calendar month of a legal entity, both bounds included."""

    name: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", description="YYYY-MM")]

    @property
    def start(self) -> dt.date:
        """First day of the month."""
        year, month = map(int, self.name.split("-"))
        return dt.date(year, month, 1)

    @property
    def end(self) -> dt.date:
        """Last day of the month."""
        start = self.start
        return start.replace(day=calendar.monthrange(start.year, start.month)[1])
