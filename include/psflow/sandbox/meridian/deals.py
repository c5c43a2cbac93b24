"""Who buys what: twelve customers, the deals of two legal entities in three currencies, and whom each deal asks for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from psflow.sandbox.meridian.people import FREE_ANALYST, FREE_CONSULTANT, SCARCE, SCARCE_MANAGER, STORY_DAY, Person
from psflow.sandbox.meridian.prices import VERSIONS, Prices

ENTITIES = {"Meridian US": "MER-US", "Meridian EU": "MER-EU"}  # as the CRM writes it -> ours
REGIONS = {"North America": "NA", "Europe": "EU", "United Kingdom": "UK"}
TAXES = {
    "US": "US services",
    "DE": "German VAT",
    "NL": "EU reverse charge",
    "FR": "EU reverse charge",
    "GB": "UK export",
}
BILLING_START = dt.date(2026, 9, 1)

# the story, by deal number
CLEAN = "17"
TWO_GATES = "18"  # unmapped legal entity, no tax treatment
NO_CAPACITY = "19"  # nobody free with role, skill and region
FOREIGN = "13"  # sterling, billed by the entity that keeps its books in euro
TWICE = "17"  # delivered again without a change
CAPPED = "16"  # hours up to a limit, which October reaches
MILESTONES = "15"  # a price in three deliverables, two of them accepted
RETAINER = "8"  # a monthly fee with hours in it
ORDERED = "7"  # the customer's purchase order pays for it
SHARED = "6"  # two customers pay for it
TYPES = {MILESTONES: "Milestone Based", RETAINER: "Retainer"}  # as the CRM writes it; others by time and materials
OPEN = ("20", "21")  # not won
GLOBEX, GLOBEX_AGAIN = "2", "13"  # one customer in two spellings


@dataclass(frozen=True, slots=True)
class Customer:
    """One account of the CRM."""

    number: str
    name: str
    street: str
    city: str
    country: str
    vat_id: str | None = None


CUSTOMERS = [
    Customer(*row)
    for row in (
        ("1", "Northwind Analytics", "1 Pike Street", "Seattle", "US"),
        ("2", "Globex Industrial", "742 Evergreen Terrace", "Springfield", "US"),
        ("3", "Initech Software", "3 Congress Avenue", "Austin", "US"),
        ("4", "Umbra Health", "4 Beacon Street", "Boston", "US"),
        ("5", "Harbor Logistics", "5 Wacker Drive", "Chicago", "US"),
        ("6", "Cascade Energy", "6 Larimer Street", "Denver", "US"),
        ("7", "Alpenglow Versicherung", "Leopoldstraße 7", "München", "DE", "DE 136 695 976"),
        ("8", "Rheinwerk Maschinenbau", "Deutzer Ring 8", "Köln", "DE", "DE811569869"),
        ("9", "Polder Foods", "Wijnhaven 9", "Rotterdam", "NL", "NL004495445B01"),
        ("10", "Lumière Santé", "10 rue de la Barre", "Lyon", "FR", "FR40303265045"),
        ("11", "Thames Mutual", "11 Cheapside", "London", "GB"),
        ("12", "Pennine Rail", "12 Wellington Street", "Leeds", "GB"),
    )
]
AGAIN = Customer(GLOBEX_AGAIN, "Globex Industrial Inc.", "742 Evergreen Terrace", "Springfield", "US")


@dataclass(frozen=True, slots=True)
class Deal:
    """One opportunity. Work runs from `starts` to `worked_to` (None: none yet); words are as the CRM writes them."""

    number: str
    customer: str
    name: str
    entity: str
    currency: str
    region: str
    starts: dt.date
    worked_to: dt.date | None
    is_won: bool = True
    tax: str | None = None

    @property
    def contract_type(self) -> str:
        """How it is billed, as the CRM writes it."""
        return TYPES.get(self.number, "Time and Materials")

    @property
    def legal_entity_id(self) -> str | None:
        """Ours, None when nobody mapped what the CRM writes."""
        return ENTITIES.get(self.entity)

    @property
    def ends(self) -> dt.date:
        """Last day of the contract."""
        return dt.date(2027, 3, 31)


@dataclass(frozen=True, slots=True)
class Demand:
    """A line that asks for a person: hours on each working day, both ends included."""

    deal: str
    role: str
    skills: tuple[str, ...]
    starts: dt.date
    ends: dt.date
    hours: int

    @property
    def total_hours(self) -> int:
        """Hours of all working days."""
        return self.hours * sum(
            (self.starts + dt.timedelta(days=at)).weekday() < 5 for at in range((self.ends - self.starts).days + 1)
        )


_RUNNING = dt.date(2026, 10, 31)
_PLAN: Sequence[tuple[str, str, str, str, str, str, dt.date, dt.date | None]] = (
    ("1", "1", "Data platform rollout", "US", "USD", "NA", dt.date(2025, 5, 1), _RUNNING),
    ("2", "2", "ERP integration", "US", "USD", "NA", dt.date(2025, 6, 2), _RUNNING),
    ("3", "3", "Cutover to cloud", "US", "USD", "NA", dt.date(2025, 9, 1), _RUNNING),
    ("4", "4", "Claims portal", "US", "USD", "NA", dt.date(2025, 5, 1), dt.date(2026, 7, 31)),
    ("5", "5", "Route planning", "US", "USD", "NA", dt.date(2025, 11, 3), _RUNNING),
    (SHARED, "6", "Grid analytics", "US", "USD", "NA", dt.date(2026, 1, 12), _RUNNING),
    (ORDERED, "1", "Managed analytics", "US", "USD", "NA", dt.date(2026, 3, 2), _RUNNING),
    (RETAINER, "4", "Member app care", "US", "USD", "NA", BILLING_START, _RUNNING),
    ("9", "7", "Policy core renewal", "EU", "EUR", "EU", dt.date(2025, 5, 1), _RUNNING),
    ("10", "8", "Shop floor data", "EU", "EUR", "EU", dt.date(2025, 8, 4), _RUNNING),
    ("11", "9", "Demand forecasting", "EU", "EUR", "EU", dt.date(2026, 2, 2), _RUNNING),
    ("12", "10", "Patient records", "EU", "EUR", "EU", dt.date(2025, 5, 1), dt.date(2026, 5, 29)),
    (FOREIGN, "11", "Pricing engine", "EU", "GBP", "UK", dt.date(2025, 5, 1), _RUNNING),
    ("14", "12", "Timetable service", "EU", "GBP", "UK", dt.date(2026, 6, 1), _RUNNING),
    (MILESTONES, "8", "Spare parts portal", "EU", "EUR", "EU", dt.date(2026, 9, 7), _RUNNING),
    (CAPPED, "5", "Warehouse robots", "US", "USD", "NA", dt.date(2026, 10, 5), _RUNNING),
    (CLEAN, "3", "Release two", "US", "USD", "NA", dt.date(2026, 11, 16), None),
    (TWO_GATES, "4", "Benelux rollout", "Benelux", "EUR", "EU", dt.date(2026, 11, 30), None),
    (NO_CAPACITY, "11", "Fraud review", "EU", "GBP", "UK", dt.date(2026, 12, 14), None),
    ("20", GLOBEX_AGAIN, "Phase two", "US", "USD", "NA", dt.date(2027, 1, 4), None),
    ("21", "9", "Store pilot", "EU", "EUR", "EU", dt.date(2027, 1, 4), None),
)


def deals() -> list[Deal]:
    """Return all deals in the order in which they were won, the open ones last."""
    regions = {ours: theirs for theirs, ours in REGIONS.items()}
    return [
        Deal(number, customer, name, f"Meridian {entity}", currency, regions[region], starts, worked_to,
             number not in OPEN, _tax(number, customer))
        for number, customer, name, entity, currency, region, starts, worked_to in _PLAN
    ]  # fmt: skip


def _tax(number: str, customer: str) -> str | None:
    return None if number == TWO_GATES else TAXES[country_of(customer)]


def country_of(customer: str) -> str:
    """Return where a customer is, by its number."""
    return next(each.country for each in (*CUSTOMERS, AGAIN) if each.number == customer)


def demands(random: Random, everybody: Sequence[Person], won: Sequence[Deal]) -> list[Demand]:
    """
    Return whom the deals ask for, from the day of the story on, each from a day of its own.

    So nobody's turn depends on an id that another system mints. The clean deal comes first: its people are free.
    """
    person = {each.number: each for each in everybody}
    cloud, analyst, scarce = (person[number] for number in (FREE_CONSULTANT, FREE_ANALYST, SCARCE_MANAGER))
    first = dt.date(2026, 11, 16)
    story = [
        Demand(CLEAN, str(cloud.role), ("cloud",), first, first + dt.timedelta(days=11), 6),
        Demand(CLEAN, str(analyst.role), ("sql",), first + dt.timedelta(days=1), first + dt.timedelta(days=10), 4),
        Demand(NO_CAPACITY, str(scarce.role), (SCARCE,), dt.date(2026, 12, 14), dt.date(2026, 12, 18), 6),
    ]
    told = {each.deal for each in story}
    return story + [
        _more(random, deal, at, everybody) for at, deal in enumerate(d for d in won if d.number not in told)
    ]


def _more(random: Random, deal: Deal, at: int, everybody: Sequence[Person]) -> Demand:
    """Ask for a skill that somebody in the region has; the calendar decides whether there is time."""
    weeks, weekday = divmod(at + 2, 5)  # Wednesday the 18th and on, every working day once
    starts = dt.date(2026, 11, 16) + dt.timedelta(weeks=weeks, days=weekday)
    here = [
        person
        for person in everybody
        if person.role and person.region == REGIONS[deal.region] and person.is_employed(STORY_DAY)
        if SCARCE not in person.skills
    ]
    one = random.choice(here)
    skill = random.choice((*one.skills, None))
    ends = starts + dt.timedelta(days=random.choice((4, 6, 8)))
    return Demand(deal.number, str(one.role), (skill,) if skill else (), starts, ends, random.choice((2, 2, 3, 4)))


def sold(deal: Deal, asked: Sequence[Demand], worth: Decimal, known: Prices) -> list[tuple[Decimal, Decimal]]:
    """Return (hours, price) of a deal's lines: a fifth more than the work is worth, and each person asked for."""
    price = known[deal.currency, "Consultant", VERSIONS[0]]
    lines = [(Decimal(each.total_hours), known[deal.currency, each.role, VERSIONS[-1]]) for each in asked]
    return [(Decimal(200 + int(worth * 6 / 5 / price)), price), *lines]
