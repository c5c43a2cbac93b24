"""Whatever happens to hours in whatever order, the ledger is the one that plain loops come to."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import random
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from psflow.config import Config
from psflow.contracts import Period
from psflow.flows import billing, billing_adjustment
from psflow.store.connection import Store, sql
from tests.flows.billing_oracle import OWN, Book, Entry, Split, worth
from tests.flows.conftest import ENTITY, PassGate

PROJECTS, ROUNDS = 60, 8
SEEDS = int(os.environ.get("HISTORIES") or 2)  # of 60 histories each; HISTORIES=40 is thousands
FIRST = dt.date(2026, 10, 1)
LAST = dt.date(2026, 12, 31)
ROLES = ("Consultant", "Partner")
NUMBER = itertools.count(1)


@dataclass
class World:
    """Many projects that live side by side, each with its book; the engine bills all of them in one batch."""

    store: Store
    config: Config
    chance: random.Random
    books: dict[str, Book] = field(default_factory=dict)
    versions: list[dict[str, Any]] = field(default_factory=list)
    batch: str | None = None

    def __post_init__(self) -> None:
        entity = self.config.legal_entity(ENTITY).model_copy(update={"billing_starts_on": None})
        self.config = self.config.model_copy(update={"legal_entities": (entity,)})
        self.entity = entity
        with self.store.transaction("world"):
            for statement in _SET_UP:
                self.store.run(statement, entity=ENTITY, projects=PROJECTS)
        for number in range(1, PROJECTS + 1):
            self._sign(f"K{number}")

    def _sign(self, contract: str) -> None:
        rates = {role: Decimal(self.chance.randrange(5000, 40000)) / 100 for role in ROLES}
        limit = Decimal(self.chance.randrange(20000, 400000)) / 100 if self.chance.random() < 0.5 else None
        self.books[contract] = Book(rates, limit)
        with self.store.transaction("world"):
            for role, rate in rates.items():
                self.store.run(_RATE, id=f"{contract}{role}", contract=contract, role=role, rate=rate)
            if limit is not None:
                self.store.run(_CAP, contract=contract, limit=limit)
        if self.chance.random() < 0.4:
            self.agree_on_payers(contract, FIRST)

    def agree_on_payers(self, contract: str, since: dt.date) -> None:
        """Up to three customers pay from a day on; one of them takes the residue."""
        payers = self.chance.sample((OWN, "D", "E"), self.chance.randrange(1, 4))
        cuts = sorted(self.chance.sample(range(1, 1_000_000), len(payers) - 1))
        parts = [Decimal(b - a) / 10_000 for a, b in itertools.pairwise((0, *cuts, 1_000_000))]
        split = Split(since, dict(zip(payers, parts, strict=True)), self.chance.choice(payers))
        self.books[contract].splits.append(split)
        with self.store.transaction("world"):
            self.store.run(
                _SPLIT, contract=contract, since=since, payers=payers, parts=parts,
                residues=[payer == split.residue for payer in payers],
            )  # fmt: skip

    # what people do

    def live(self, contract: str, book: Book, *, with_decisions: bool) -> None:
        """A week of one project."""
        for _ in range(self.chance.randrange(0, 4)):
            self._add(contract, book)
        for entry in self.chance.sample(sorted(book.entries.values(), key=lambda e: e.key), min(2, len(book.entries))):
            self._change(contract, entry)
        if with_decisions and book.entries:
            self._decide(book, self.chance.choice(sorted(book.entries)))

    def _add(self, contract: str, book: Book) -> None:
        day = FIRST + dt.timedelta(self.chance.randrange(0, 85))
        entry = Entry(f"{next(NUMBER):07d}", day, self.chance.randrange(1, 601), self.chance.choice(ROLES))
        book.entries[entry.key] = entry
        self._write(contract, entry)

    def _change(self, contract: str, entry: Entry) -> None:
        match self.chance.randrange(6):
            case 0 | 1:
                entry.minutes = self.chance.randrange(1, 601) if not entry.lost else entry.minutes
            case 2:
                entry.on = FIRST + dt.timedelta(self.chance.randrange(0, 85))
            case 3:
                entry.role = self.chance.choice(ROLES) if not entry.lost else entry.role
            case 4:
                entry.approved = not entry.approved
            case _:
                pass  # a note, a cost rate: nothing that money hangs on
        entry.version += 1
        self._write(contract, entry)

    def _decide(self, book: Book, key: str) -> None:
        """Two persons credit a part of an entry, or write off what is open of it."""
        entry, live = book.entries[key], book.live(key)
        if not entry.approved or key in book.credits or (live and live[0].facts != entry.facts()):
            return
        billed = sum((c.minutes for c in live), Decimal())
        if live and self.chance.random() < 0.6 and billed == int(billed):
            payer = self.chance.choice((None, live[-1].payer if live[-1].split else None))
            there = sum(c.minutes for c in live if payer in (None, c.payer))
            part = min(Decimal(self.chance.randrange(1, int(billed) + 1)), Decimal(there))
            self._adjust("credit", key, part, payer)
            book.credits[key] = part, payer
        elif not live and not entry.lost:
            part = self.chance.randrange(1, entry.minutes + 1)
            rate = book.rates[entry.role]
            self._adjust("write_off", key, Decimal(part))
            entry.written_off += part
            entry.lost += worth(entry.minutes, rate) - worth(entry.minutes - part, rate)

    def _adjust(self, kind: Any, key: str, part: Decimal, payer: str | None = None) -> None:
        self.send()
        said = billing_adjustment.Adjustment(kind, key, part, LAST, "agreed", "P-201", "P-102", payer)
        billing_adjustment.adjust(self.store, self.entity, said)

    def _write(self, contract: str, entry: Entry) -> None:
        self.versions.append(
            {"id": entry.key, "version": entry.version, "on": entry.on, "minutes": entry.minutes, "role": entry.role,
             "approved": entry.approved, "project": f"P-{contract}"}
        )  # fmt: skip

    def send(self) -> None:
        """What was written reaches the warehouse and passes its gate."""
        with self.store.transaction("world"):
            self.store.run_many(_VERSION, self.versions)
            self.store.run_many(_HEAD, self.versions)
        self.versions = []

    # what the engine does

    def bill(self, until: dt.date = LAST, since: dt.date | None = None) -> int:
        """Freeze, judge, approve and keep a batch as charges, without an ERP; return the number of its lines."""
        self.send()
        period = _Until(name=f"{until:%Y-%m}", day=until)
        batch = self.batch = billing.freeze(self.store, self.config, ENTITY, period, until, since)
        if batch is None:
            return 0
        shown = str(billing.check(self.store, self.config, PassGate(), batch)["content_hash"])
        for step, user in (("submit", "fiona"), ("approve", "frank")):
            say: Any = {"airflow_user": user, "approved": True, "content_hash": shown, "run_id": "r"}
            billing.decide(self.store, self.config, batch, step, **say)  # type: ignore[arg-type]
        with self.store.transaction("world"):
            for name in ("invoices", "invoice_lines", "charges"):
                lines = self.store.run(sql("warehouse.billing", name), batch=batch)
            self.store.run("update billing.batch set state = 'posted' where batch_id = %(b)s", b=batch)
        return lines

    def cancel(self) -> None:
        """Somebody cancels drafts of the batch in the ERP: of one payer each."""
        for contract, book in self.books.items():
            payer = self.chance.choice((OWN, OWN, "D", "E"))
            if self.batch and self.chance.random() < 0.15 and book.cancel(payer):
                with self.store.transaction("world"):
                    self.store.run(_CANCEL, batch=self.batch, project=f"P-{contract}", payer=payer)

    def ledger(self) -> dict[str, list[tuple[Any, ...]]]:
        found = defaultdict(list)
        for row in self.store.rows("select * from billing.counted_charge order by entry_key, version, seq, kind"):
            found[row["project_code"].removeprefix("P-")].append(
                (
                    row["entry_key"],
                    row["version"],
                    row["seq"],
                    row["kind"],
                    row["payer_id"] or OWN,
                    row["billed_minutes"],
                    row["amount"],
                )
            )
        return found


class _Until(Period):
    """A month that is billed up to one of its days."""

    day: dt.date

    @property
    def end(self) -> dt.date:
        return self.day


_SET_UP = (
    "insert into core.rate_card values ('card', 'Card', 'USD')",
    "insert into core.customer (customer_id, name) values ('C', 'Customer'), ('D', 'Second'), ('E', 'Third')",
    "insert into core.time_load (entries) values (1)",
    "insert into core.opportunity (opportunity_id, account_id, name, is_won, is_closed, modified_at) "
    "select 'K' || n, 'A', 'Deal', true, true, now() from generate_series(1, %(projects)s) n",
    "insert into core.engagement (engagement_id, opportunity_id, customer_id) "
    "select opportunity_id, opportunity_id, 'C' from core.opportunity",
    "insert into core.contract (contract_id, engagement_id, legal_entity_id, contract_type, currency, rate_card_id, "
    "tax_treatment) select engagement_id, engagement_id, %(entity)s, 'time_and_materials', 'USD', 'card', "
    "'us_services' from core.engagement",
    "insert into core.project (project_code, engagement_id, name, customer_id, currency, rate_card_id) "
    "select 'P-' || engagement_id, engagement_id, 'Project', 'C', 'USD', 'card' from core.engagement",
)
_RATE = (
    "insert into core.agreed_rate (rate_id, level, scope_id, role, valid_from, hourly_rate, currency) "
    "values (%(id)s, 'contract', %(contract)s, %(role)s, '2026-01-01', %(rate)s, 'USD')"
)
_CAP = (
    "insert into billing.cap (cap_id, level, scope_id, limit_amount, currency) "
    "values (%(contract)s, 'contract', %(contract)s, %(limit)s, 'USD')"
)
_SPLIT = (
    "with split as (insert into core.split (contract_id, valid_from, agreed_on, reason) "
    "values (%(contract)s, %(since)s, %(since)s, 'agreed') returning split_id) insert into core.split_share "
    "select split_id, share.* from split, unnest(%(payers)s::text[], %(parts)s::numeric[], %(residues)s::bool[]) share"
)
_CANCEL = (
    "insert into billing.void_invoice (invoice_key, erp_invoice_id) select invoice_key, 'x' from billing.invoice "
    "where (batch_id, project_code, coalesce(payer_id, 'C')) = (%(batch)s, %(project)s, %(payer)s)"
)
_VERSION = (
    "insert into core.time_entry (time_entry_id, version, load_id, worked_on, minutes, is_billable, is_approved, "
    "modified_at, project_code, billed_role) "
    "select %(id)s, %(version)s, load_id, %(on)s, %(minutes)s, true, %(approved)s, now(), %(project)s, %(role)s "
    "from core.time_load"
)
_HEAD = (
    "insert into core.time_entry_head values (%(id)s, %(version)s, %(version)s, 'passed') on conflict (time_entry_id) "
    "do update set latest_version = excluded.latest_version, passed_version = excluded.passed_version"
)


def reprice(world: World) -> None:
    """Prices of half the contracts change; what was billed keeps its own."""
    for contract, book in world.books.items():
        if world.chance.random() < 0.5:
            book.rates = {role: rate + world.chance.randrange(1, 50) for role, rate in book.rates.items()}
            with world.store.transaction("world"):
                for role, rate in book.rates.items():
                    world.store.run(
                        "update core.agreed_rate set hourly_rate = %(r)s where rate_id = %(id)s",
                        r=rate, id=f"{contract}{role}",
                    )  # fmt: skip


def agree_anew(world: World) -> None:
    """Some contracts get other payers from some day on; what was billed stays split as it was."""
    for contract, book in world.books.items():
        if book.splits and world.chance.random() < 0.3:
            world.agree_on_payers(contract, FIRST + dt.timedelta(world.chance.randrange(0, 85)))


def raise_caps(world: World) -> None:
    for contract, book in world.books.items():
        if book.limit is not None and world.chance.random() < 0.3:
            book.limit += world.chance.randrange(1, 2000)
            with world.store.transaction("world"):
                world.store.run(
                    "update billing.cap set limit_amount = %(l)s where cap_id = %(c)s", l=book.limit, c=contract
                )


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_ledger_of_every_history_is_what_plain_loops_come_to(store: Store, config: Config, seed: int) -> None:
    world = World(store, config, random.Random(seed))
    for number in range(ROUNDS):
        for count, (contract, book) in enumerate(world.books.items()):
            world.live(contract, book, with_decisions=count % 10 == number)
        since, until = sorted(FIRST + dt.timedelta(world.chance.randrange(0, 85)) for _ in range(2))
        since, until = world.chance.choice(((since, until), (dt.date.min, until), (dt.date.min, LAST)))
        world.bill(until, None if since == dt.date.min else since)
        for book in world.books.values():
            book.last = [], []
            book.bill(until, since)
        world.cancel()
        ledger = world.ledger()
        for contract, book in world.books.items():
            assert ledger[contract] == sorted(book.lines, key=lambda line: line[:4]), f"seed {seed}, {contract}"
            assert book.limit is None or sum(line[-1] for line in book.lines) <= book.limit
        reprice(world)
        raise_caps(world)
        agree_anew(world)


@pytest.mark.parametrize("seed", range(100, 100 + max(SEEDS // 2, 1)))
def test_any_subset_in_any_order_and_twice_comes_to_the_worth_of_every_hour(
    store: Store, config: Config, seed: int
) -> None:
    world = World(store, config, random.Random(seed))
    with store.transaction("world"):
        store.run("update billing.cap set on_excess = 'warn'")
    for _ in range(ROUNDS):
        for contract, book in world.books.items():
            world.live(contract, book, with_decisions=False)
        for _ in range(world.chance.randrange(0, 3)):
            since, until = sorted(FIRST + dt.timedelta(world.chance.randrange(0, 85)) for _ in range(2))
            world.bill(until, since)
            assert world.bill(until, since) == 0
    for contract, book in world.books.items():  # so that no project waits for more hours than it is to be credited
        entry = book.entries[f"last {contract}"] = Entry(f"last {contract}", FIRST, 60_000, "Partner")
        world._write(contract, entry)
    world.bill()
    assert world.bill() == 0
    billed = store.rows("select entry_key, sum(amount) as amount from billing.charge group by entry_key")
    by_key = {row["entry_key"]: row["amount"] for row in billed}
    for contract, book in world.books.items():
        for entry in book.entries.values():
            due = worth(entry.minutes, book.rates[entry.role]) if entry.approved else Decimal()
            assert by_key.get(entry.key, Decimal()) == due, f"seed {seed}, {contract}, {entry}"
