"""Who works at Meridian: roles, skills, regions, employers, hours of each weekday, joiners, leavers and leave."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

FIRST_DAY = dt.date(2025, 5, 1)  # eighteen months of work, rates and capacity
LAST_DAY = dt.date(2026, 10, 31)
STORY_DAY = dt.date(2026, 11, 5)
PLANNED_TO = dt.date(2027, 1, 29)  # leave is known up to here

ROLES = ("Partner", "Engagement Manager", "Consultant", "Analyst", "Engineer")
SKILLS = {
    "Partner": ("strategy", "pricing"),
    "Engagement Manager": ("delivery", "change", "pricing"),
    "Consultant": ("cloud", "erp", "change", "data"),
    "Analyst": ("sql", "data", "reporting"),
    "Engineer": ("python", "cloud", "security", "data"),
}
EMPLOYERS = {"NA": "Meridian US", "EU": "Meridian EU", "UK": "Meridian EU"}  # as HR writes it, unless said otherwise
SCARCE = "fraud"  # one person has it


def _words(text: str) -> list[str]:
    return text.split()


_FULL = (8, 8, 8, 8, 8, 0, 0)
_SIX = (6, 6, 6, 6, 6, 0, 0)
_HIRED = dt.date(2022, 3, 1)
_GIVEN = _words(
    "Ada Benedikt Chiara Dev Elif Farid Greta Hiro Imani Jonas Keiko Lorenzo Maud Nikhil Oona Pavel Quentin Rosalind "
    "Sipho Tamsin Ulrich Valentina Wiebke Xavier Yusuf Zora Anselm Brigid Cosmo Dorothea Emeka Fleur Gideon Henrike "
    "Ignacio Jolanta Kofi Leopold Marisol Nevena"
)
_FAMILY = _words(
    "Abernathy Brandt Castellanos Dubois Eriksen Fitzgerald Grimaldi Hashimoto Iyer Jankowski Kowalczyk Lindqvist "
    "Mbeki Nakamura Okonkwo Papadopoulos Quigley Rasmussen Szabo Thackeray Uchida Vandermeer Whitcombe Xanthos "
    "Yilmaz Zimmermann Ashdown Boateng Carvalho Drummond Espinoza Falkenrath Guthrie Holloway Ivanenko Jimenez "
    "Kirkbride Lafontaine Montague Norgaard"
)


@dataclass(frozen=True, slots=True)
class Leave:
    """Whole days away, both ends included; only what is approved takes capacity."""

    first: dt.date
    last: dt.date
    is_approved: bool = True


@dataclass(frozen=True, slots=True)
class Person:
    """One person. `number` orders them in every system; `patterns` are hours Monday to Sunday from a day on."""

    number: int
    name: str
    role: str | None
    region: str
    skills: tuple[str, ...]
    patterns: tuple[tuple[dt.date, tuple[int, ...]], ...]
    starts: dt.date = _HIRED
    ends: dt.date | None = None
    in_psa: bool = True
    leave: tuple[Leave, ...] = ()
    employers: tuple[tuple[dt.date, str], ...] = ()  # the other company, from a day on

    @property
    def email(self) -> str:
        """The exact key by which all systems agree on a person."""
        return f"{self.name.lower().replace(' ', '.')}@meridian.example"

    def is_employed(self, day: dt.date) -> bool:
        """Whether the person works here on a day."""
        return self.starts <= day and (self.ends is None or day <= self.ends)

    def employer(self, day: dt.date) -> str:
        """Return the company that employs the person on a day."""
        said = [name for since, name in self.employers if since <= day]
        return said[-1] if said else EMPLOYERS[self.region]

    def pattern(self, day: dt.date) -> int:
        """Hours of a day before leave."""
        hours = [pattern for valid_from, pattern in self.patterns if valid_from <= day]
        return hours[-1][day.weekday()] if hours and self.is_employed(day) else 0

    def capacity(self, day: dt.date) -> int:
        """Hours of a day after approved leave."""
        is_away = any(leave.is_approved and leave.first <= day <= leave.last for leave in self.leave)
        return 0 if is_away else self.pattern(day)


def days(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    """Yield every day, both ends included."""
    for offset in range((last - first).days + 1):
        yield first + dt.timedelta(days=offset)


def people(random: Random, size: int) -> list[Person]:
    """Return `size` people, those of the story first. Raises ValueError when that is too few for the story."""
    if size < 24:
        raise ValueError(f"SIZE {size} is too small: the firm needs at least 24 people to staff its projects")
    cast = [_person(number, *each) for number, each in enumerate(_CAST, start=1)]
    rest = [_anybody(random, number) for number in range(len(cast) + 1, size + 1)]
    named = zip([*cast, *rest], _names(random, size), strict=True)
    return [_with_leave(random, replace(person, name=name)) for person, name in named]


# role, region, skills, what is special
_CAST: Sequence[tuple[str | None, str, tuple[str, ...], dict[str, object]]] = (
    (None, "NA", (), {"in_psa": False}),  # known to HR only: runs the office
    (None, "NA", ("reporting",), {"starts": dt.date(2026, 10, 12)}),  # joined, and nobody gave a role in the PSA yet
    ("Consultant", "NA", ("cloud", "erp"), {}),  # has time for the clean deal
    ("Analyst", "NA", ("sql", "data"), {}),  # the same
    ("Engagement Manager", "UK", ("delivery", SCARCE), {}),  # the only one, and away when asked for
    ("Engineer", "NA", ("python", "security"), {"ends": dt.date(2026, 1, 30)}),
    ("Analyst", "EU", ("sql", "reporting"), {"ends": dt.date(2026, 8, 31)}),
    ("Consultant", "EU", ("erp", "change"), {"starts": dt.date(2026, 3, 2)}),
    ("Engineer", "UK", ("python", "cloud"), {"starts": dt.date(2025, 9, 1)}),
    ("Consultant", "NA", ("change", "data"), {
        "patterns": ((_HIRED, _FULL), (dt.date(2026, 1, 5), _SIX)), "employers": ((_HIRED, "Meridian EU"),)}),
    ("Analyst", "EU", ("data", "sql"), {"patterns": ((_HIRED, (8, 8, 8, 8, 0, 0, 0)),)}),
    ("Partner", "NA", ("strategy",), {
        "patterns": ((_HIRED, (0, 8, 8, 8, 0, 0, 0)),), "employers": ((dt.date(2026, 10, 1), "Meridian EU"),)}),
    ("Partner", "UK", ("strategy", "pricing"), {}),
    ("Partner", "EU", ("pricing",), {}),
    ("Consultant", "UK", ("data", "cloud"), {"employers": ((_HIRED, "Meridian US"),)}),
    ("Consultant", "EU", ("cloud", "data"), {}),
)  # fmt: skip
HR_ONLY, NO_ROLE, FREE_CONSULTANT, FREE_ANALYST, SCARCE_MANAGER = 1, 2, 3, 4, 5
AWAY = Leave(dt.date(2026, 12, 16), dt.date(2026, 12, 18))  # what makes the scarce one unavailable
_STAY = (FREE_CONSULTANT, FREE_ANALYST)


def _person(number: int, role: str | None, region: str, skills: tuple[str, ...], special: dict[str, object]) -> Person:
    person = Person(number, "", role, region, tuple(sorted(skills)), ((_HIRED, _FULL),))
    return replace(person, **special)  # type: ignore[arg-type]


def _anybody(random: Random, number: int) -> Person:
    role = random.choices(ROLES, (1, 3, 6, 5, 5))[0]
    region = ("NA", "EU", "NA", "UK", "NA", "EU")[number % 6]
    return _person(number, role, region, tuple(random.sample(SKILLS[role], 2)), {})


def _names(random: Random, size: int) -> list[str]:
    """Return names that share neither part while the lists last; then a second family name tells them apart."""
    given, family = random.sample(_GIVEN, len(_GIVEN)), random.sample(_FAMILY, len(_FAMILY))
    names = []
    for at in range(size):
        turn, place = divmod(at, len(given))
        more = "".join(f" {family[(place + 7 * t) % len(family)]}" for t in range(turn + 1))
        names.append(f"{given[(place + turn) % len(given)]}{more}")
    return names


def _with_leave(random: Random, person: Person) -> Person:
    """Two weeks each summer and short breaks over the year; some of what lies ahead is only asked for."""
    leave = [_block(random, dt.date(year, random.choice((6, 7, 8)), 1), 9) for year in (2025, 2026)]
    leave += [_block(random, dt.date(2025 + month // 13, (month - 1) % 12 + 1, 1), 2) for month in (9, 12, 15, 18, 21)]
    if person.number not in _STAY:
        leave += [_block(random, dt.date(2026, 12, 16), random.choice((3, 4)), random.random() < 0.7)]
    if person.number == SCARCE_MANAGER:
        leave[-1] = AWAY
    return replace(person, leave=tuple(sorted(_apart(leave), key=lambda each: each.first)))


def _block(random: Random, begins: dt.date, length: int, is_approved: bool = True) -> Leave:
    first = begins + dt.timedelta(days=random.randrange(14))
    first += dt.timedelta(days=(7 - first.weekday()) % 7 if first.weekday() > 4 else 0)
    return Leave(first, first + dt.timedelta(days=length), is_approved)


def _apart(leave: list[Leave]) -> list[Leave]:
    """Drop what overlaps an earlier block, so that no day is taken twice."""
    kept: list[Leave] = []
    for each in sorted(leave, key=lambda one: (not one.is_approved, one.first)):
        if all(each.last < other.first or other.last < each.first for other in kept):
            kept.append(each)
    return kept
