"""
A firm of any size from a seed: its people, projects, prices and the time entries that its PSA holds.

Entries come as feeds. A feed is what one read of the PSA gives, oldest change first, in three files: `records` (the
vendor's JSON, keyed by id, ready to be cut into pages), `index` (where each record begins) and `copy` (the same rows
typed, in Postgres' text form, each with its payload).
"""

from __future__ import annotations

import datetime as dt
import json
import random
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROLES = ("Partner", "Principal", "Manager", "Consultant", "Engineer", "Analyst", "Designer", "Trainer")
REGIONS = ("NA", "EU", "UK")
TYPES = ("TM", "TM_CAP", "RETAINER", "COST_PLUS", "FIXED")
_SHARE = (40, 20, 15, 15, 10)  # of projects, in percent
_TWO_PAGES = 400
ENTRIES_A_PROJECT, ENTRIES_A_PERSON, PROJECTS_A_CLIENT = 200, 500, 5
FIRST_DAY, DAYS = dt.date(2026, 1, 1), 365
_STAMP = dt.datetime(2027, 1, 4, 6, tzinfo=dt.UTC)
_NOTES = (
    None,
    "",
    "Workshop with the client",
    "Überleitung geprüft, zweite Fassung",
    'Review of "phase 2"',
    "Tests\tand fixes",
)
FIRST_ID = 10_000_000  # ids of one width sort alike as text and as numbers


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of a time entry. Ids are numbers; the project's is also its code's number."""

    entry_id: int
    person: int
    project: int
    role: int | None
    worked_on: dt.date
    minutes: int
    is_billable: bool
    is_approved: bool
    notes: str | None
    updated_at: dt.datetime


@dataclass(frozen=True)
class Firm:
    """Everything but the entries. Lists are by number: people, projects and clients count from 0."""

    rows: int
    seed: int
    people: list[tuple[int, str, int]]  # role, region, cost an hour
    projects: list[tuple[int, str]]  # client, contract type
    rates: list[tuple[int, int | None, int, str | None, dt.date, int]]  # level, client, role, region, from, rate

    @classmethod
    def of(cls, rows: int, seed: int) -> Firm:
        """Return the firm that logs `rows` entries."""
        chance = random.Random(seed)
        people = [
            (chance.randrange(len(ROLES)), chance.choice(REGIONS), chance.randrange(40, 120))
            for _ in range(max(20, rows // ENTRIES_A_PERSON))
        ]
        count = max(50, rows // ENTRIES_A_PROJECT)
        types = [TYPES[0], *TYPES, *chance.choices(TYPES, _SHARE, k=count - 6)]
        projects = [(number // PROJECTS_A_CLIENT, kind) for number, kind in enumerate(types)]
        return cls(rows, seed, people, projects, list(_rates(chance, count // PROJECTS_A_CLIENT)))

    def entries(self) -> list[Entry]:
        """Return what the PSA holds: 95 of 100 are as they were made, then come the corrections, 5 of 100."""
        chance = random.Random(self.seed + 1)
        fresh = self.rows - self.rows // 20
        made = [self._entry(chance, number) for number in range(fresh)]
        return made + self._corrected(chance, made[:-_TWO_PAGES], self.rows // 20, made[-1])  # a page holds an id once

    def changes(self, entries: Sequence[Entry], count: int, salt: int) -> list[Entry]:
        """Return newer versions of `count` entries, each with other minutes."""
        return self._corrected(random.Random(self.seed + salt), newest(entries), count, entries[-1])

    def _entry(self, chance: random.Random, number: int) -> Entry:
        project = chance.randrange(len(self.projects))
        minutes = 15 * chance.randrange(1, 41)
        if self.projects[project][1] in ("TM", "FIXED") and chance.random() < 0.01:
            minutes = -minutes  # a credit
        return Entry(
            FIRST_ID + number, chance.randrange(len(self.people)), project,
            chance.randrange(len(ROLES)) if chance.random() < 0.6 else None,
            FIRST_DAY + dt.timedelta(days=chance.randrange(DAYS)), minutes,
            chance.random() < 0.97, chance.random() < 0.97, chance.choice(_NOTES),
            _STAMP + dt.timedelta(milliseconds=20 * number),
        )  # fmt: skip

    def _corrected(self, chance: random.Random, of: Sequence[Entry], count: int, last: Entry) -> list[Entry]:
        return [
            Entry(
                entry.entry_id, entry.person, entry.project, entry.role, entry.worked_on,
                entry.minutes + (30 if entry.minutes == -15 else 15), entry.is_billable, entry.is_approved, entry.notes,
                last.updated_at + dt.timedelta(milliseconds=20 * number),
            )
            for number, entry in enumerate(chance.sample(list(of), count), 1)
        ]  # fmt: skip


def newest(entries: Sequence[Entry]) -> list[Entry]:
    """Return the last version of each entry."""
    return list({entry.entry_id: entry for entry in entries}.values())


def _rates(chance: random.Random, clients: int) -> Iterator[tuple[int, int | None, int, str | None, dt.date, int]]:
    steps = [FIRST_DAY - dt.timedelta(days=400), *(FIRST_DAY + dt.timedelta(days=n) for n in (90, 181, 273))]
    for role in range(len(ROLES)):
        for region in REGIONS:
            yield from ((3, None, role, region, day, chance.randrange(80, 300)) for day in steps)
        for client in range(clients):
            if chance.random() < 0.3:
                yield from ((2, client, role, None, day, chance.randrange(80, 300)) for day in steps[:3])
            if chance.random() < 0.1:
                region = chance.choice(REGIONS)
                yield from ((1, client, role, region, day, chance.randrange(80, 300)) for day in steps[:2])


def write_feed(folder: Path, name: str, entries: Sequence[Entry]) -> None:
    """Write the three files of a feed."""
    begins, position = array("Q"), 0
    records, copy = (folder / f"{name}.records").open("wb"), (folder / f"{name}.copy").open("wb")
    with records, copy:
        for entry in entries:
            payload = _payload(entry)
            keyed = f'"{entry.entry_id}":{payload},'.encode()
            begins.append(position)
            position += records.write(keyed)
            copy.write(_copy_line(entry, payload).encode())
    begins.append(position)
    (folder / f"{name}.index").write_bytes(begins.tobytes())


def _payload(entry: Entry) -> str:
    record = {
        "id": str(entry.entry_id), "created_at": f"{entry.worked_on}T17:00:00Z",
        "updated_at": entry.updated_at.isoformat(), "date_performed": entry.worked_on.isoformat(), "story_id": None,
        "time_in_minutes": entry.minutes, "billable": entry.is_billable, "notes": entry.notes, "rate_in_cents": 0,
        "currency": "USD", "currency_symbol": "$",
        "currency_base_unit": 100, "user_can_edit": False, "approved": entry.is_approved, "taxable": False,
        "is_invoiced": False, "location": None, "role_id": None if entry.role is None else str(entry.role),
        "workspace_id": str(entry.project), "user_id": str(entry.person),
    }  # fmt: skip
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def _copy_line(entry: Entry, payload: str) -> str:
    role = None if entry.role is None else ROLES[entry.role]
    values = (
        entry.entry_id, entry.project, entry.person, entry.worked_on, entry.minutes, role, entry.is_billable,
        entry.is_approved, entry.notes, entry.updated_at.isoformat(), payload, None, None,
    )  # fmt: skip
    return "\t".join(map(_copy_text, values)) + "\n"


def _copy_text(value: object) -> str:
    if value is None:
        return "\\N"
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
