"""The whole firm of one seed and size, made once and the same wherever it is made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, cached_property
from random import Random

from psflow.sandbox.meridian import deals as selling
from psflow.sandbox.meridian import people as hiring
from psflow.sandbox.meridian import prices as pricing
from psflow.sandbox.meridian import story as telling
from psflow.sandbox.meridian import work as working
from psflow.sandbox.meridian.deals import Deal, Demand
from psflow.sandbox.meridian.people import Person
from psflow.sandbox.meridian.story import Story
from psflow.sandbox.meridian.work import Entry, Expense


@dataclass(frozen=True, eq=False)
class Firm:
    """Everything that is planned. `entries` and `expenses` are as first logged; `corrections` come later."""

    seed: int
    people: tuple[Person, ...]
    prices: pricing.Prices
    deals: tuple[Deal, ...]
    demands: tuple[Demand, ...]
    sold: dict[str, tuple[tuple[Decimal, Decimal], ...]]
    entries: tuple[Entry, ...]
    expenses: tuple[Expense, ...]
    story: Story

    @property
    def corrections(self) -> tuple[Entry, ...]:
        """The hour that arrives late and the entries edited after their invoice."""
        return self.story.corrections

    def deal(self, number: str) -> Deal:
        """Return a deal by its number."""
        return self._by_number[number]

    @cached_property
    def _by_number(self) -> dict[str, Deal]:
        return {each.number: each for each in self.deals}

    def person(self, number: int) -> Person:
        """Return a person by their number."""
        return self.people[number - 1]


@cache
def firm(seed: int, size: int) -> Firm:
    """Return the firm of a seed. Raises ValueError when the size is too small."""
    random = Random(seed)
    people = hiring.people(random, size)
    prices = pricing.prices(random)
    deals = selling.deals()
    won = [deal for deal in deals if deal.is_won]
    demands = selling.demands(random, people, won)
    logged = working.entries(random, people, won)
    spent = working.expenses(random, people, logged)
    story = telling.tell(logged, spent)
    worth = _worth(deals, logged, prices)
    asked = {deal.number: [each for each in demands if each.deal == deal.number] for deal in deals}
    sold = {deal.number: tuple(selling.sold(deal, asked[deal.number], worth[deal.number], prices)) for deal in deals}
    return Firm(
        seed, tuple(people), prices, tuple(deals), tuple(demands), sold, (*logged, *story.entries),
        (*spent, *story.expenses), story,
    )  # fmt: skip


def _worth(deals: Sequence[Deal], logged: Sequence[Entry], prices: pricing.Prices) -> dict[str, Decimal]:
    """Return deal -> about what its work comes to, for what was agreed on in the beginning."""
    currencies, worth = {d.number: d.currency for d in deals}, {d.number: Decimal() for d in deals}
    for entry in logged:
        if entry.deal and entry.role:
            rate = pricing.hourly(prices, currencies[entry.deal], entry.role, entry.worked_on)
            worth[entry.deal] += (rate or Decimal()) * entry.minutes / 60
    return worth


def current() -> Firm:
    """Return the firm of SEED and SIZE in the environment (1 and 40). Raises ValueError naming what is no number."""
    return firm(_number("SEED", 1), _number("SIZE", 40))


def _number(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdigit():
        raise ValueError(f"{name} {text!r} is not a whole number; unset it or give one")
    return int(text)
