"""An hour of one company's people on another's contract is owed by the one to the other, in the books of both."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

import psycopg
import pytest

from psflow import explain
from psflow.cli import intercompany as cli
from psflow.contracts import TransferRule
from psflow.errors import TransientError
from psflow.flows import intercompany, period_controls
from psflow.store.connection import Row, Store
from tests.cases.conftest import config, office
from tests.cases.office import Office
from tests.flows.conftest import policy_period
from tests.flows.intercompany_oracle import Group, Hour
from tests.flows.test_billing_cli import psflow

__all__ = ["config", "office"]

US, EU = "MER-US", "MER-EU"
OCTOBER = policy_period("2026-10")
DAY = dt.date(2026, 10, 5)
RATES = {"lender": EU, "borrower": US, "currency": "EUR", "rates": {"Consultant": "80.10"}}
COST = {"lender": EU, "borrower": US, "currency": "EUR", "cost_plus_pct": "12.5"}
BILL = {"lender": EU, "borrower": US, "currency": "EUR", "pct_of_bill": "70"}
SEEDS = int(os.environ.get("HISTORIES") or 2)


@dataclass
class House:
    """Two companies, a contract of each, Ada whom the European one employs, and a price between them."""

    office: Office
    rules: tuple[dict[str, Any], ...] = (RATES,)

    def __post_init__(self) -> None:
        self.office.contract("A")
        self.office.contract("B")
        self.office.run("update core.contract set legal_entity_id = %(eu)s where contract_id = 'B'", eu=EU)
        self.office.rate("r", "200", role="Consultant")
        self.hire("ada", "Meridian EU")

    @property
    def config(self) -> Any:
        shipped = self.office.config
        us = shipped.legal_entity(US).model_copy(update={"hr_values": ("Meridian US",)})
        eu = us.model_copy(update={"legal_entity_id": EU, "hr_values": ("Meridian EU", "Meridian EU (old)")})
        rules = tuple(TransferRule(**rule) for rule in self.rules)
        return shipped.model_copy(update={"legal_entities": (us, eu), "intercompany": rules})

    def hire(self, person: str, employer: str | None, since: dt.date = dt.date(2020, 1, 1)) -> None:
        self.office.person(person)
        self.office.run(
            "insert into core.employment values (%(person)s, %(since)s, %(employer)s) "
            "on conflict (resource_id, valid_from) do update set employer = excluded.employer",
            person=person, since=since, employer=employer,
        )  # fmt: skip

    def work(self, entry: str, hours: str = "1.5", project: str = "P-A", on: Any = DAY, **more: Any) -> None:
        self.office.work(entry, project, on, hours, **{"person": "ada"} | more)

    def close(self, entity: str, period: str) -> None:
        with psycopg.connect(self.office.owner_url) as owner:
            owner.execute("delete from core.period where (legal_entity_id, period) = (%s, %s)", [entity, period])
            owner.execute("insert into core.period values (%s, %s, clock_timestamp())", [entity, period])

    def transfer(self) -> tuple[int, int, int]:
        made = intercompany.transfer(self.office.store, self.config)
        return made["transferred"], made["reversed"], made["waiting"]

    def ledger(self) -> list[Row]:
        return self.office.store.rows("select * from billing.transfer order by transfer_id, side")

    def owed(self) -> list[tuple[str, Decimal, str]]:
        return [
            (row["transfer_id"], row["amount"], row["currency"]) for row in self.ledger() if row["side"] == "due_to"
        ]

    def waits(self) -> dict[str, str]:
        rows = self.office.store.rows("select record_id, field, message from ops.exceptions "
                                      "where rule = 'intercompany' and state = 'open' order by 1")  # fmt: skip
        return {f"{row['record_id']}: {row['field']}": row["message"] for row in rows}

    def why(self, entry: str) -> list[str]:
        (found,) = explain.find(self.office.store, entry)
        return [line for line in explain.explain(self.office.store, self.config, found).because if "MER-" in line]

    def control(self, entity: str = US) -> Any:
        found = period_controls.check(self.office.store, self.config, entity, OCTOBER)
        return next(control for control in found if control.control == "K13")


@pytest.fixture
def house(office: Office) -> House:
    return House(office)


def test_a_lent_hour_is_owed_to_the_lender_and_by_the_borrower_and_own_hours_make_nothing(house: House) -> None:
    house.work("1")
    house.work("2", project="P-B")
    assert house.transfer() == (1, 0, 0)
    due_from, due_to = house.ledger()
    assert (due_from["side"], due_from["legal_entity_id"], due_from["partner_id"]) == ("due_from", EU, US)
    assert (due_to["side"], due_to["legal_entity_id"], due_to["partner_id"]) == ("due_to", US, EU)
    for row in (due_from, due_to):
        assert (row["transfer_id"], row["amount"], row["currency"]) == ("1.1", Decimal("120.15"), "EUR")
        assert (row["worked_on"], row["accounting_on"], row["minutes"], row["basis"]) == (
            DAY,
            DAY,
            90,
            Decimal("80.10"),
        )
    assert house.transfer() == (0, 0, 0)
    (seen,) = house.office.store.rows("select * from finance.intercompany")
    assert (seen["lender"], seen["borrower"], seen["month"], seen["currency"]) == (EU, US, "2026-10", "EUR")
    assert (seen["hours"], seen["due_from"], seen["due_to"], seen["difference"]) == (
        Decimal("1.5"), Decimal("120.15"), Decimal("120.15"), 0,
    )  # fmt: skip


def test_an_hour_costs_what_it_costs_there_and_so_many_percent_or_part_of_its_bill(house: House) -> None:
    house.rules = (COST | {"valid_to": dt.date(2026, 10, 9)}, BILL | {"valid_from": dt.date(2026, 10, 10)})
    house.office.run("insert into core.cost_rate values ('ada', '2020-01-01', '2026-10-06', 50, 'USD'), "
                     "('ada', '2026-10-07', null, 60, 'EUR')")  # fmt: skip
    house.office.run("insert into core.fx_rate values ('USD', 'EUR', '2026-10-01', 0.8765, 'erp')")
    house.work("1")
    house.work("2", on=dt.date(2026, 10, 8))
    house.work("3", on=dt.date(2026, 10, 12))
    house.work("4", on=dt.date(2026, 10, 12), person="bob")
    house.hire("bob", "Meridian EU (old)")
    assert house.transfer() == (2, 0, 2)
    assert house.waits() == {}, "what is not billed yet is billed first"
    house.office.run("insert into core.overtime (contract_id, valid_from, per, after_minutes, multiplier) "
        "values ('A', '2020-01-01', 'day', 60, 1.5)")  # fmt: skip
    house.office.bill(OCTOBER.end)
    assert house.transfer() == (2, 0, 0)
    assert house.owed() == [
        ("1.1", Decimal("73.95"), "EUR"),  # 1.5 h x 50 USD x 1.125 x 0.8765
        ("2.1", Decimal("101.25"), "EUR"),  # 1.5 h x 60 x 1.125
        ("3.1", Decimal("214.74"), "EUR"),  # (1 h x 200 + 0.5 h x 300) x 0.8765 x 0.7
        ("4.1", Decimal("214.74"), "EUR"),
    ]
    assert house.why("3") == [
        "MER-US owes MER-EU EUR 214.74 for it, at 70 % of the USD 350.00 that 1.50 h are billed at, exchange rate "
        "0.8765, transfer 3.1, counts in 2026-10 in both books"
    ]


def test_what_lacks_an_employer_a_price_a_cost_or_an_exchange_rate_waits_for_whoever_can_say_it(house: House) -> None:
    house.rules = (COST,)
    house.office.person("bob")
    for number, (person, role) in enumerate([("ada", "Consultant"), ("bob", "Consultant"), ("eve", "Consultant")], 1):
        house.hire("eve", "Elsewhere Ltd") if person == "eve" else None
        house.work(str(number), person=person, role=role)
    house.hire("ina", "Meridian US")
    house.work("4", person="ina", project="P-B", role="Partner")
    assert house.transfer() == (0, 0, 4)
    assert house.ledger() == []
    said = house.waits()
    assert {key: text.partition("wait: ")[2] for key, text in said.items()} == {
        "MER-US for MER-EU: lender": "no price is set for what MER-US lends MER-EU",
        "ada: hourly_cost": "there is no cost of ada on those days",
        "bob: employer": "HR does not say which company employs bob",
        "eve: employer": "HR says 'Elsewhere Ltd', which is hr_values of no legal entity",
    }
    assert said["ada: hourly_cost"].startswith("1.50 lent hours from 2026-10-05 on wait")
    house.rules = (COST, RATES | {"lender": US, "borrower": EU})
    house.office.run("insert into core.cost_rate values ('ada', '2020-01-01', null, 50, 'GBP')")
    house.hire("bob", "Meridian US")  # at home: nothing is owed
    house.hire("eve", None)
    assert house.transfer() == (0, 0, 3)
    assert set(house.waits()) == {"GBP to EUR: rate", "MER-US for MER-EU Partner: rates", "eve: employer"}
    house.office.run("insert into core.fx_rate values ('GBP', 'EUR', '2026-10-01', 1.15, 'erp')")
    house.rules = (COST, BILL | {"lender": US, "borrower": EU})
    house.office.run("update core.contract set contract_type = 'milestone' where contract_id = 'B'")
    house.hire("eve", "Meridian US")
    assert house.transfer() == (1, 0, 1)
    assert set(house.waits()) == {"MER-US for MER-EU by its bill: pct_of_bill"}
    rows = house.office.store.rows("select waits_for, amount from finance.intercompany_hour order by 1")
    assert [(row["waits_for"], row["amount"]) for row in rows] == [("no bill", None), (None, Decimal("97.03"))]
    house.rules = (COST, RATES | {"lender": US, "borrower": EU, "rates": {"Partner": "100"}})
    assert (house.transfer(), house.waits()) == ((1, 0, 0), {})


def test_an_hour_edited_after_it_was_transferred_is_taken_back_and_transferred_at_its_price(house: House) -> None:
    house.work("1")
    house.work("2")
    house.transfer()
    house.rules = (RATES | {"rates": {"Consultant": "95", "Partner": "140"}},)
    assert house.transfer() == (0, 0, 0), "a price that changes leaves what was transferred"
    house.close(US, "2026-10")
    house.close(EU, "2026-11")
    house.work("1", "2")
    house.work("2", "1.5", role="Partner")
    assert house.transfer() == (2, 2, 0)
    december = dt.date(2026, 12, 1)
    rows = [row for row in house.ledger() if row["side"] == "due_from"]
    assert [(r["transfer_id"], r["reverses"], r["amount"], r["worked_on"], r["accounting_on"]) for r in rows] == [
        ("1.1", None, Decimal("120.15"), DAY, DAY),
        ("1.1.R", "1.1", Decimal("-120.15"), DAY, december),
        ("1.2", None, Decimal("160.20"), DAY, december),  # 2 h at the price it was transferred at
        ("2.1", None, Decimal("120.15"), DAY, DAY),
        ("2.1.R", "2.1", Decimal("-120.15"), DAY, december),
        ("2.2", None, Decimal("210.00"), DAY, december),  # another role is priced anew
    ]
    assert (house.control().sums, house.control().broken) == ({"EUR": "240.30"}, ())


def test_an_hour_that_is_not_approved_any_more_and_one_whose_employer_is_corrected_are_taken_back(house: House) -> None:
    house.work("1")
    house.work("2")
    house.transfer()
    house.work("1", approved=False)
    assert house.transfer() == (0, 1, 0)
    house.work("1", "3")
    house.hire("ada", None, DAY)
    assert house.transfer() == (0, 0, 2), "nobody knows whose she is: nothing is written, and what stands waits"
    house.hire("ada", "Meridian US", DAY)
    assert house.transfer() == (0, 1, 0), "one of the borrower's own"
    house.hire("ada", "Meridian EU", DAY)
    assert house.transfer() == (2, 0, 0)
    assert [(key, amount) for key, amount, _ in house.owed()] == [
        ("1.1", Decimal("120.15")), ("1.1.R", Decimal("-120.15")), ("1.3", Decimal("240.30")),
        ("2.1", Decimal("120.15")), ("2.1.R", Decimal("-120.15")), ("2.1~2", Decimal("120.15")),
    ]  # fmt: skip


def test_where_hr_names_no_company_of_ours_nothing_is_asked(house: House) -> None:
    house.work("1", person="stranger")
    alone = house.config.model_copy(
        update={"legal_entities": tuple(e.model_copy(update={"hr_values": ()}) for e in house.config.legal_entities)}
    )
    assert intercompany.transfer(house.office.store, alone) == {"transferred": 0, "reversed": 0, "waiting": 0}
    assert house.waits() == {}


def test_the_close_finds_a_side_that_is_missing_and_one_that_is_another_amount(house: House) -> None:
    for number in ("1", "2", "3"):
        house.work(number)
    house.work("4", person="nobody")
    house.transfer()
    for entity in (US, EU):
        assert (house.control(entity).records, house.control(entity).sums) == (1, {"EUR": "360.45"})
        assert house.control(entity).broken == ()
    with psycopg.connect(house.office.owner_url) as owner:
        owner.execute("delete from billing.transfer where (transfer_id, side) = ('1.1', 'due_to')")
        owner.execute("alter table billing.transfer drop constraint transfer_is_priced")
        owner.execute(
            "update billing.transfer set amount = amount + 120.15 where (transfer_id, side) = ('2.1', 'due_to')"
        )
    for entity in (US, EU):
        (broken,) = house.control(entity).broken
        assert broken["says"] == "2 transfers are not the same in both books, the first is 1.1", "sums alone would tie"
    with psycopg.connect(house.office.owner_url) as owner:
        owner.execute(
            "update billing.transfer set accounting_on = '2026-11-01' where (transfer_id, side) = ('3.1', 'due_to')"
        )
    assert house.control().broken[0]["says"].startswith("3 transfers")


def test_a_month_that_closes_meanwhile_is_left_alone_and_its_hours_count_in_the_next(house: House) -> None:
    house.work("1")
    house.transfer()
    house.work("2")
    with ThreadPoolExecutor(1) as beside, psycopg.connect(house.office.owner_url) as owner:
        owner.execute("delete from core.period where legal_entity_id = 'MER-US'")
        owner.execute("insert into core.period values ('MER-US', '2026-10', clock_timestamp())")
        running = beside.submit(house.transfer)
        while not owner.execute("select count(*) from pg_locks where not granted").fetchone()[0]:  # type: ignore[index]
            time.sleep(0.02)
        owner.commit()
        with pytest.raises(TransientError, match="period 2026-10 of MER-US is closed"):
            running.result()
    assert [key for key, *_ in house.owed()] == ["1.1"]
    assert house.transfer() == (1, 0, 0)
    assert house.ledger()[-1]["accounting_on"] == dt.date(2026, 11, 1)


def test_two_runs_at_once_write_an_hour_once(house: House, app_url: str) -> None:
    for number in range(20):
        house.work(str(number))
    with ThreadPoolExecutor(4) as several:
        runs = [several.submit(_beside, app_url, house.config) for _ in range(4)]
    assert sorted(run.result()["transferred"] for run in runs) == [0, 0, 0, 20]


def _beside(url: str, config: Any) -> dict[str, int]:
    with Store.open(url, "eu-west") as store:
        return intercompany.transfer(store, config)


def test_a_project_of_the_borrower_costs_the_transfer_price_of_its_lent_hours(house: House) -> None:
    house.hire("ina", "Meridian US")
    house.office.run("insert into core.cost_rate values ('ada', '2020-01-01', null, 10, 'EUR'), "
                     "('ina', '2020-01-01', null, 30, 'USD')")  # fmt: skip
    house.office.run("insert into core.legal_entity (legal_entity_id, name, currency) values ('MER-US', 'US', 'USD')")
    house.office.run("insert into core.fx_rate values ('EUR', 'USD', '2026-10-01', 1.1, 'erp')")
    house.work("1")
    house.work("2", "2", person="ina")
    margin = "select cost, missing from finance.project_margin_monthly where project_code = 'P-A'"
    house.transfer()
    (seen,) = house.office.store.rows(margin)
    assert seen == {"cost": Decimal("192.17"), "missing": None}  # 120.15 EUR x 1.1 + 2 h x 30
    house.hire("ada", None)
    house.transfer()
    assert house.office.store.rows(margin) == [{"cost": None, "missing": "transfer price"}]


def test_what_is_owed_is_shown_at_a_terminal_with_what_waits(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def opened() -> Iterator[Any]:
        yield house.office.store, house.config

    monkeypatch.setattr(cli, "open_store", opened)
    assert psflow("intercompany").stdout.strip() == "Nothing is owed."
    house.work("1")
    house.office.person("bob")
    house.work("2", person="bob")
    house.transfer()
    said = psflow("intercompany", "--period", "2026-10").stdout
    assert "MER-EU  MER-US    2026-10  1.50   120.15    120.15  0.00        EUR" in said
    assert "?       MER-US    2026-10  1.50   employer missing" in said
    found = json.loads(psflow("intercompany", "--json").stdout)
    assert (found["owed"][0]["due_to"], found["waiting"][0]["waits_for"]) == ("120.150", "employer missing")


def test_an_entry_says_what_is_owed_for_it_and_why(house: House) -> None:
    why = house.why
    house.work("1")
    house.work("2", project="P-B")
    house.transfer()
    house.close(EU, "2026-10")
    house.office.run("insert into core.cost_rate values ('ada', '2020-01-01', null, 50, 'EUR')")
    house.rules = (COST,)
    house.work("1", on=dt.date(2026, 10, 6))
    house.office.person("bob")
    house.work("3", person="bob")
    house.transfer()
    assert why("1") == [
        "MER-US owes MER-EU EUR 120.15 for it, at the rate of Consultant, EUR 80.10 an hour, transfer 1.1, counts in "
        "2026-10 in both books; taken back in 2026-11",
        "MER-US owes MER-EU EUR 84.38 for it, at its cost and 12.5 %, transfer 1.2, counts in 2026-11 in both books",
    ]
    assert why("2") == []
    assert why("3") == ["nobody knows which company lends it to MER-US: waits, employer missing"]


# -- the law: whatever happens in whatever order


@dataclass
class Histories:
    """Many hours, people who change companies, prices and months; the oracle lives through the same."""

    house: House
    chance: random.Random
    group: Group = field(default_factory=Group)

    def agree(self) -> None:
        """New prices between the companies; sometimes one of a pair is missing, or one of a role."""
        rates = {
            (lender, borrower): {role: Decimal(self.chance.randrange(5000, 20000)).scaleb(-2)
                                 for role in ("Consultant", "Partner") if self.chance.random() < 0.8}
            for lender, borrower in ((US, EU), (EU, US))
        }  # fmt: skip
        self.group.prices = {pair: {k: Fraction(v) for k, v in said.items()} for pair, said in rates.items()}
        self.house.rules = tuple(
            {"lender": a, "borrower": b, "currency": "EUR", "rates": said} for (a, b), said in rates.items() if said
        )

    def hire(self, person: str, since: dt.date) -> None:
        name = self.chance.choice(("Meridian US", "Meridian EU", None))
        self.house.hire(person, name, since)
        ours = {"Meridian US": US, "Meridian EU": EU, None: None}[name]
        self.group.employers.setdefault(person, {})[since] = ours

    def log(self, key: str) -> None:
        """An hour is new, edited, moved, or no longer approved."""
        old = self.group.hours.get(key)
        hour = Hour(
            self.chance.choice((US, EU)), self.chance.choice("pqrs"), self.chance.choice(("Consultant", "Partner")),
            dt.date(2026, 10, 1) + dt.timedelta(self.chance.randrange(60)), self.chance.randrange(1, 600),
            self.chance.random() < 0.85, (old.version if old else 0) + 1,
        )  # fmt: skip
        if old and self.chance.random() < 0.6:
            hour = Hour(old.borrower, old.person, old.role, old.on, hour.minutes, hour.approved, hour.version)
        self.group.hours[key] = hour
        project = {US: "P-A", EU: "P-B"}[hour.borrower]
        self.house.work(key, "0", project, hour.on, person=hour.person, role=hour.role, approved=hour.approved,
                        minutes=hour.minutes)  # fmt: skip

    def close(self) -> None:
        entity, month = self.chance.choice((US, EU)), self.chance.choice(("2026-10", "2026-11"))
        self.group.closed.add((entity, month))
        self.house.close(entity, month)

    def live(self) -> None:
        for _ in range(self.chance.randrange(4, 16)):
            self.log(f"{self.chance.randrange(40):03d}")
        for act, often in ((self.agree, 0.4), (self.close, 0.15)):
            if self.chance.random() < often:
                act()
        if self.chance.random() < 0.5:
            self.hire(self.chance.choice("pqrs"), dt.date(2026, 10, 1) + dt.timedelta(self.chance.randrange(60)))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_history_run_at_any_time_or_twice_gives_the_ledger_of_plain_loops(house: House, seed: int) -> None:
    world = Histories(house, random.Random(seed))
    world.agree()
    for person in "pqrs":
        world.hire(person, dt.date(2020, 1, 1))
    for _ in range(12):
        world.live()
        if world.chance.random() < 0.7:
            world.group.run()
            for _ in range(world.chance.randrange(1, 3)):
                house.transfer()
    world.group.run()
    made = house.transfer()
    assert house.transfer() == (0, 0, made[2]) and made[2] == len(world.group.waiting)
    names = ("transfer_id", "side", "legal_entity_id", "partner_id", "worked_on", "minutes", "amount", "accounting_on")
    found = [tuple(row[name] for name in names) for row in house.ledger()]
    assert len(found) > 10 and found == sorted(world.group.rows)
    said = house.office.store.rows("select time_entry_id from billing.transfer_waiting")
    assert {row["time_entry_id"] for row in said} == world.group.waiting
