"""Prices by the day and for overtime: another unit or price of an hour, never another hour."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from psflow import explain
from psflow.cli import app
from psflow.cli import billing as command
from psflow.config import Person
from psflow.contracts import Period
from psflow.errors import GateFailed, NeedsReview
from psflow.flows import billing, billing_adjustment, reconciliation, terms, terms_words
from psflow.flows import rerate as re_rating
from psflow.gates.suite import ExpectationGate
from psflow.store.connection import Store, sql
from tests.flows.conftest import ENTITY, Firm, PassGate
from tests.flows.test_billing_histories import _HEAD, _SET_UP, LAST, SEEDS, _Until

LATER = "2026-11-02T00:00:00Z"
HEAD = "P-1001:\n  currency: USD\n  agreed_on: 2026-10-01\n  reason: SOW 3\n"
DAY = "  rates:\n    - {role: Consultant, valid_from: 2026-01-01, day_rate: 1000, hours_per_day: 8}\n"
OVERTIME = "  overtime:\n    - {valid_from: 2026-01-01, after_hours: 8, multiplier: 1.5}\n"
PRICED = "  overtime:\n    - {valid_from: 2026-01-01, after_hours: 8}\n"
OF_OVERTIME = "  rates:\n    - {role: Consultant, valid_from: 2026-01-01, hourly_rate: 300, is_overtime: true}\n"


class Office:
    """A firm with one active project at 180.50 an hour, and rita, who edits rates."""

    def __init__(self, firm: Firm, path: Path) -> None:
        firm.start()
        rita = Person(person="P-401", airflow_user="rita", teams=("finance",), may=("rates",))
        firm.config = firm.config.model_copy(update={"people": (*firm.config.people, rita)})
        self.firm, self.path, self.store = firm, path, firm.store

    def agree(self, text: str) -> list[str]:
        """Load terms and return what is wrong with them."""
        self.path.write_text(HEAD + text, encoding="utf-8")
        return terms.load(self.store, self.firm.config, self.path, "rita")[1]

    def work(self, *entries: tuple[int, int], **fields: Any) -> None:
        for number, minutes in entries:
            self.firm.log(number, minutes, **fields)
        self.firm.load_time()

    def ledger(self) -> dict[str, tuple[int, Decimal]]:
        rows = self.store.rows("select charge_id, minutes, amount from billing.charge order by charge_id")
        return {row["charge_id"]: (row["minutes"], row["amount"].normalize()) for row in rows}

    def lines(self) -> list[tuple[str, str, str]]:
        document = list(self.firm.erp.documents.values())[-1]
        return [(line["role"], line["hours"], line["amount"]) for line in document["lines"]]

    def left_out(self) -> list[tuple[str, str, int | None]]:
        rows = self.store.rows("select * from billing.left_out order by entry_key, reason")
        return [(row["entry_key"], row["reason"], row["minutes"]) for row in rows]

    def is_whole(self) -> bool:
        """Whether invoices tie to entries and to the ERP, and every charge comes out again from its rate row."""
        reconciliation.read_erp(self.store, self.firm.erp)
        october = {"entity": ENTITY, "start": dt.date(2026, 10, 1), "end": dt.date(2026, 10, 31)}
        again = self.store.rows(sql("warehouse.period", "k10_rates"), **october)
        return not reconciliation.tie_out(self.store, self.firm.config)["breaks"] and all(
            row["says"] is None and row["left_value"] == row["right_value"] for row in again
        )

    def why(self, identifier: str) -> str:
        (found,) = explain.find(self.store, identifier)
        told = explain.explain(self.store, self.firm.config, found)
        return "; ".join([told.says, *told.because, *(part.says for part in told.parts)])

    def adjust(self, kind: Any, entry: str, minutes: int | None = None) -> Decimal:
        part = None if minutes is None else Decimal(minutes)
        said = billing_adjustment.Adjustment(kind, entry, part, dt.date(2026, 10, 31), "agreed", "P-201", "P-102")
        return billing_adjustment.adjust(self.store, self.firm.config.legal_entity(ENTITY), said)

    def say(self, statement: Any, **values: Any) -> None:
        with self.store.transaction("test"):
            self.store.run(statement, **values)


@pytest.fixture
def office(firm: Firm, tmp_path: Path) -> Office:
    return Office(firm, tmp_path / "terms.yaml")


# days


def test_work_at_a_day_rate_is_billed_in_days_and_stays_hours_worked(
    office: Office, real_gate: ExpectationGate
) -> None:
    assert office.agree(DAY) == []
    office.work((1, 480), (2, 240))
    office.firm.post(office.firm.approve(real_gate))
    assert office.ledger() == {"1.1": (480, Decimal(1000)), "2.1": (240, Decimal(500))}
    (line,) = list(office.firm.erp.documents.values())[-1]["lines"]
    said = (line["days"], line["day_rate"], line["hours"], line["hourly_rate"], line["amount"])
    assert said == ("1.5000", "1000.0000", "12.0000", "125.0000", "1500.000")
    assert office.is_whole() and office.firm.freeze() is None


def test_a_day_that_is_no_round_number_of_minutes_comes_to_its_price_to_the_cent(office: Office) -> None:
    office.agree(DAY.replace("hours_per_day: 8", "hours_per_day: 7.1"))
    office.work((1, 426), (2, 71), (3, 1))
    office.firm.bill()
    assert [amount for _, amount in office.ledger().values()] == [1000, Decimal("166.67"), Decimal("2.35")]
    assert office.is_whole()


def test_a_day_rate_is_explained_in_days(office: Office) -> None:
    office.agree(DAY)
    office.work((1, 720))
    office.firm.bill()
    told = office.why("MER-US.2026-10.1.P-1001")
    assert "1.5 days of 8 h \N{MULTIPLICATION SIGN} USD 1,000.00 = USD 1,500.00" in told
    assert "Consultant costs USD 1,000.00 a day of 8 hours: E-1001.C1, contract level" in office.why("1.1")
    assert "the row says" not in office.why("1.1")
    assert any(
        "price of Consultant: 1000.0000 USD a day of 8.00 hours" in line
        for line in terms_words.words(office.store, "P-1001", dt.date(2026, 10, 5))
    )


def test_a_cap_cuts_a_day_and_the_rest_is_billed_when_it_is_raised(office: Office) -> None:
    office.agree(DAY + "  caps:\n    - {level: contract, limit_amount: 300}\n")
    office.work((1, 480))
    office.firm.bill()
    assert office.left_out() == [("1", "over_cap", 336)]
    office.agree(DAY + "  caps:\n    - {level: contract, limit_amount: 5000}\n")
    office.firm.bill()
    assert office.ledger() == {"1.1": (144, Decimal(300)), "1.1/2": (336, Decimal(700))}
    assert office.is_whole()


def test_a_day_is_credited_in_part_at_its_day_rate(office: Office) -> None:
    office.agree(DAY.replace("hours_per_day: 8", "hours_per_day: 7.5"))
    office.work((1, 450), (2, 450))
    office.firm.bill()
    assert office.adjust("credit", "1", 225) == Decimal("500.00")
    office.firm.bill()
    assert office.ledger()["1.1/2"] == (225, Decimal(500)) and office.is_whole()


def test_a_day_that_is_corrected_keeps_the_price_and_the_hours_it_was_invoiced_at(office: Office) -> None:
    office.agree(DAY)
    office.work((1, 480))
    office.firm.bill()
    office.say("update core.agreed_rate set day_rate = 700, hours_per_day = 7, hourly_rate = 100")
    office.work((1, 600), updated_at=LATER)
    office.firm.bill()
    assert office.ledger()["1.2"] == (600, Decimal(1250))


def test_a_day_rate_that_is_billed_keeps_its_number(office: Office) -> None:
    office.agree(DAY)
    office.work((1, 480))
    office.firm.bill()
    (wrong,) = office.agree(DAY.replace("1000", "1100"))
    assert "rates.0.day_rate: hours are billed" in wrong
    (wrong,) = office.agree(DAY.replace("hours_per_day: 8", "hours_per_day: 7"))
    assert "rates.0.day_rate: hours are billed" in wrong


# overtime


def test_hours_above_the_day_are_billed_at_the_multiplier_in_the_order_of_work(
    office: Office, real_gate: ExpectationGate
) -> None:
    assert office.agree(OVERTIME) == []
    office.work((1, 360), (2, 240), (3, 60))
    office.work((4, 480), date_performed="2026-10-06")
    office.firm.post(office.firm.approve(real_gate))
    assert office.ledger() == {
        "1.1": (360, Decimal(1083)), "2.1": (120, Decimal(361)), "2.1/overtime": (120, Decimal("541.5")),
        "3.1/overtime": (60, Decimal("270.75")), "4.1": (480, Decimal(1444)),
    }  # fmt: skip
    assert office.lines() == [("Consultant", "16.0000", "2888.000"), ("Consultant, overtime", "3.0000", "812.250")]
    assert office.is_whole() and office.firm.freeze() is None


def test_overtime_is_explained_by_its_threshold_its_multiplier_and_its_rate_row(office: Office) -> None:
    office.agree(OVERTIME)
    office.work((1, 600))
    office.firm.bill()
    told = office.why("1.1/overtime")
    assert "overtime, 2.00 h on 2026-10-05" in told and "USD 270.75 = USD 541.50" in told
    assert "over 8.00 h a day on the contract, at 1.5 times its price" in told
    assert "Consultant in overtime costs USD 270.75 an hour" in told and "the row says" not in told
    assert "overtime" not in office.why("1.1")
    assert any(
        "over 8 hours a day is billed at 1.5 times the price" in line
        for line in terms_words.words(office.store, "P-1001", dt.date(2026, 10, 5))
    )


def test_overtime_has_prices_of_its_own_where_no_multiplier_is_agreed(office: Office) -> None:
    assert office.agree(PRICED + OF_OVERTIME) == []
    office.work((1, 600))
    office.firm.bill()
    assert office.ledger() == {"1.1": (480, Decimal(1444)), "1.1/overtime": (120, Decimal(600))}
    assert office.is_whole()


def test_overtime_of_a_day_rate_is_billed_in_days_too_and_earned_as_invoiced(office: Office) -> None:
    office.agree(DAY + OVERTIME)
    office.work((1, 600))
    office.firm.bill()
    assert office.store.value("select sum(amount) from finance.earned_entry") == Decimal("1375.00")
    assert office.store.rows("select * from finance.unbilled_entry") == []
    assert office.ledger() == {"1.1": (480, Decimal(1000)), "1.1/overtime": (120, Decimal(375))}
    assert [line["days"] for line in list(office.firm.erp.documents.values())[-1]["lines"]] == ["1.0000", "0.2500"]
    assert office.is_whole()


def test_a_week_begins_on_monday_and_its_last_hours_are_overtime(office: Office) -> None:
    office.agree(OVERTIME.replace("after_hours: 8", "per: week, after_hours: 40"))
    for number, day in enumerate(("05", "06", "07", "08", "11", "12"), 1):  # Monday to Thursday, Sunday, Monday
        office.work((number, 600), date_performed=f"2026-10-{day}")
    office.firm.bill()
    minutes = {key: minutes for key, (minutes, _) in office.ledger().items()}
    assert minutes == {"1.1": 600, "2.1": 600, "3.1": 600, "4.1": 600, "5.1/overtime": 600, "6.1": 600}


def test_a_late_hour_of_the_same_day_moves_the_boundary_by_reversal_and_replacement(office: Office) -> None:
    office.agree(OVERTIME)
    office.work((2, 600))
    office.firm.bill()
    office.work((1, 60), updated_at=LATER)
    office.firm.bill()
    assert office.ledger() == {
        "2.1": (480, Decimal(1444)), "2.1/overtime": (120, Decimal("541.5")),
        "1.1": (60, Decimal("180.5")),
        "2.1.R": (-480, Decimal(-1444)), "2.1/2": (420, Decimal("1263.5")),
        "2.1/overtime.R": (-120, Decimal("-541.5")), "2.1/overtime/2": (180, Decimal("812.25")),
    }  # fmt: skip
    assert office.is_whole() and office.firm.freeze() is None


def test_an_edit_above_the_threshold_touches_its_overtime_alone(office: Office) -> None:
    office.agree(OVERTIME)
    office.work((1, 600))
    office.firm.bill()
    office.work((1, 660), updated_at=LATER)
    office.firm.bill()
    assert set(office.ledger()) == {"1.1", "1.1/overtime", "1.1/overtime.R", "1.2/overtime"}
    assert office.ledger()["1.2/overtime"] == (180, Decimal("812.25")) and office.is_whole()


def test_hours_that_become_ordinary_again_keep_the_price_they_were_invoiced_at(office: Office) -> None:
    office.agree(OVERTIME)
    office.work((1, 480), (2, 60))
    office.work((3, 600), date_performed="2026-10-08")
    office.firm.bill()
    cheaper = "  rates:\n    - {role: Consultant, valid_from: 2026-01-01, hourly_rate: 100}\n"
    office.agree(OVERTIME + cheaper)
    assert office.firm.freeze() is None  # a new price is not for what was billed
    office.work((1, 420), updated_at=LATER)
    office.work((4, 600), date_performed="2026-10-09", updated_at=LATER)
    office.firm.bill()
    found = office.ledger()
    assert found["2.1"] == (60, Decimal("180.5")) and found["2.1/overtime.R"] == (-60, Decimal("-270.75"))
    assert found["1.2"] == (420, Decimal("1263.5")) and found["4.1"] == (480, Decimal(800))


def test_overtime_that_is_agreed_later_is_not_for_what_was_billed(office: Office) -> None:
    office.work((1, 600))
    office.firm.bill()
    office.agree(OVERTIME)
    assert office.firm.freeze() is None
    office.work((2, 60), updated_at=LATER)
    office.firm.bill()
    assert office.ledger() == {"1.1": (600, Decimal(1805)), "2.1/overtime": (60, Decimal("270.75"))}
    office.agree(OVERTIME.replace("after_hours: 8", "after_hours: 9"))
    assert office.firm.freeze() is None
    assert office.is_whole()


def test_hours_of_another_person_make_no_overtime(office: Office) -> None:
    office.firm.kantata.load({"users": [{"id": "8", "full_name": "Bob Ray", "role_id": "1"}]})
    office.firm.sync()
    office.agree(OVERTIME)
    office.work((1, 300))
    office.work((2, 300), user_id="8")
    office.firm.bill()
    assert set(office.ledger()) == {"1.1", "2.1"}


@pytest.mark.parametrize(
    ("terms", "wrong"),
    [
        (PRICED, "overtime.0: has no multiplier, and no rate has is_overtime; give one of the two"),
        (OF_OVERTIME, "rates.0: is for overtime, and nothing says from when on it is; give after_hours"),
        (OVERTIME.replace(", after_hours: 8", ""), "overtime.0.after_hours: Field required"),
        (OVERTIME.replace("1.5", "1"), "overtime.0.multiplier: Input should be greater than 1"),
        (OVERTIME.replace("after_hours: 8", "after_hours: 8.01"), "overtime.0: after_hours: is not a whole number"),
        (DAY.replace(", hours_per_day: 8", ""), "rates.0: hours_per_day: give it with a day_rate"),
        (DAY.replace("day_rate", "hourly_rate: 9, day_rate"), "rates.0: hourly_rate, day_rate: give one of the two"),
    ],
)
def test_terms_that_lack_what_their_unit_needs_are_refused_with_their_place(
    office: Office, terms: str, wrong: str
) -> None:
    (told,) = office.agree(terms)
    assert f"P-1001.{wrong}" in told
    counts = "select (select count(*) from core.overtime) + (select count(*) from core.agreed_rate)"
    assert office.store.value(counts) == 0


def test_an_hour_whose_overtime_has_no_price_or_two_waits_whole(office: Office) -> None:
    ended = OF_OVERTIME.replace("hourly_rate", "valid_to: 2026-10-01, hourly_rate")
    assert office.agree(PRICED + ended) == []
    office.work((1, 600))
    assert office.firm.freeze() is None and office.left_out() == [("1", "RATE_MISSING", 600)]
    assert len(office.firm.exceptions("rate")) == 1
    second = OF_OVERTIME.replace("2026-01-01", "2026-10-02") + OF_OVERTIME.splitlines()[1].replace("01-01", "10-03")
    office.agree(PRICED + second + "\n")
    assert office.firm.freeze() is None and office.left_out() == [("1", "RATE_AMBIGUOUS", 600)]
    office.say("delete from core.agreed_rate where valid_from = '2026-10-03'")
    office.firm.bill()
    assert office.firm.exceptions() == [] and sum(minutes for minutes, _ in office.ledger().values()) == 600


def test_steps_count_the_whole_hour_and_both_parts_add_up_to_it(office: Office) -> None:
    office.agree(OVERTIME + "  increments:\n    - {valid_from: 2026-01-01, minutes: 60}\n")
    office.work((1, 470), (2, 30))
    office.firm.bill()
    rows = office.store.rows("select charge_id, minutes, billed_minutes from billing.charge order by charge_id")
    found = {row["charge_id"]: (row["minutes"], row["billed_minutes"]) for row in rows}
    assert found == {"1.1": (470, 480), "2.1": (10, 20), "2.1/overtime": (20, 40)} and office.is_whole()


@pytest.mark.parametrize("level", ["entry", "contract"])
def test_a_cap_lets_ordinary_hours_in_before_the_overtime_of_the_same_entry(office: Office, level: str) -> None:
    office.agree(OVERTIME + f"  caps:\n    - {{level: {level}, limit_amount: 1600}}\n")
    office.work((1, 600))
    office.firm.bill()
    assert office.ledger() == {"1.1": (480, Decimal(1444)), "1.1/overtime": (34, Decimal(156))}
    assert office.left_out() == [("1", "over_cap", 86)] and office.is_whole()


@pytest.mark.parametrize("level", ["entry", "contract"])
def test_overtime_that_comes_later_has_the_room_that_the_ordinary_hours_left(office: Office, level: str) -> None:
    office.agree(OVERTIME + f"  caps:\n    - {{level: {level}, limit_amount: 1600}}\n")
    office.work((1, 480))
    office.firm.bill()
    office.work((1, 600), updated_at=LATER)
    office.firm.bill()
    assert office.ledger() == {"1.1": (480, Decimal(1444)), "1.2/overtime": (34, Decimal(156))}


def test_a_credit_takes_overtime_first_and_opens_what_it_took(office: Office) -> None:
    office.agree(OVERTIME)
    office.work((1, 600))
    office.firm.bill()
    assert office.adjust("credit", "1", 180) == Decimal("541.50") + Decimal("180.50")
    office.firm.bill()
    found = office.ledger()
    assert found["1.1/2"] == (420, Decimal("1263.5")) and "1.1/overtime/2" not in found
    assert office.left_out() == [("1", "credited", 180)] and office.is_whole()
    assert office.adjust("write_off", "1") == Decimal("722.00")
    assert office.firm.freeze() is None and office.left_out() == [("1", "written_off", 180)]
    assert office.is_whole()


def test_what_is_written_off_stays_so_when_the_boundary_moves(office: Office) -> None:
    office.agree(OVERTIME)
    office.work((1, 60), (2, 480))
    assert office.adjust("write_off", "2", 60) == Decimal("270.75")
    office.work((1, 60), approved=False, updated_at=LATER)
    office.firm.bill()
    assert sum(amount for _, amount in office.ledger().values()) == Decimal("1444") - Decimal("270.75")


# whatever arrives, in whatever order

PEOPLE = ("Ann", "Bob")
CONTRACTS, ROUNDS = 40, 5
_VERSION = (
    "insert into core.time_entry (time_entry_id, version, load_id, worked_on, minutes, is_billable, is_approved, "
    "modified_at, project_code, resource_id, billed_role) "
    "select %(id)s, %(version)s, load_id, %(on)s, %(minutes)s, true, %(approved)s, now(), %(project)s, %(person)s, "
    "'Consultant' from core.time_load"
)


class Contracts:
    """Contracts with overtime by the day or the week, at prices by the hour or the day, all billed in one batch."""

    def __init__(self, store: Store, config: Any, chance: random.Random) -> None:
        entity = config.legal_entity(ENTITY).model_copy(update={"billing_starts_on": None})
        self.config = config.model_copy(update={"legal_entities": (entity,)})
        self.store, self.chance, self.number = store, chance, 0
        self.agreed, self.entries = dict[str, tuple[str, int, Decimal, Decimal, int]](), dict[str, dict[str, Any]]()
        with store.transaction("world"):
            for statement in _SET_UP:
                store.run(statement, entity=ENTITY, projects=CONTRACTS)
            for person in PEOPLE:
                store.run("insert into core.resource values (%(p)s, %(p)s, 'Consultant', true)", p=person)
            for contract in range(1, CONTRACTS + 1):
                self._sign(f"K{contract}")

    def _sign(self, contract: str) -> None:
        per, times = self.chance.choice(("day", "week")), Decimal(self.chance.choice(("1.25", "1.5", "1.3333", "2")))
        after = self.chance.randrange(300, 540) if per == "day" else self.chance.randrange(900, 2400)
        price, day = Decimal(self.chance.randrange(5000, 150000)) / 100, self.chance.choice((None, Decimal("7.5"), 8))
        an_hour = price if day is None else (price / day).quantize(Decimal("0.0001"), ROUND_HALF_UP)
        self.agreed[contract] = (per, after, times, price, 60 if day is None else int(60 * day))
        self.store.run(
            "insert into core.agreed_rate (rate_id, level, scope_id, role, valid_from, hourly_rate, day_rate, "
            "hours_per_day, currency) values (%(c)s, 'contract', %(c)s, 'Consultant', '2026-01-01', %(h)s, %(d)s, "
            "%(n)s, 'USD')",
            c=contract, h=an_hour, d=None if day is None else price, n=day,
        )  # fmt: skip
        self.store.run(
            "insert into core.overtime (contract_id, valid_from, per, after_minutes, multiplier) "
            "values (%(c)s, '2026-01-01', %(per)s, %(after)s, %(times)s)",
            c=contract, per=per, after=after, times=times,
        )  # fmt: skip

    def add(self, contract: str) -> None:
        self.number += 1
        on = dt.date(2026, 10, 5) + dt.timedelta(self.chance.randrange(0, 14))
        entry = {"id": f"{self.chance.randrange(10**6):06d}{self.number}", "version": 0, "on": on}
        entry |= {"minutes": self.chance.randrange(1, 400), "approved": True, "person": self.chance.choice(PEOPLE)}
        self.entries[entry["id"]] = entry | {"project": f"P-{contract}"}

    def live(self) -> None:
        """A week: new hours of any day, edits, and hours that are no longer approved."""
        for contract in self.agreed:
            for _ in range(self.chance.randrange(1, 7)):
                self.add(contract)
        for entry in self.chance.sample(sorted(self.entries.values(), key=lambda e: e["id"]), CONTRACTS):
            entry["minutes"] = self.chance.choice((entry["minutes"], self.chance.randrange(1, 400)))
            entry["approved"] = self.chance.random() < 0.8
            entry["changed"] = True

    def send(self) -> None:
        new = [entry for entry in self.entries.values() if entry.pop("changed", not entry["version"])]
        for entry in new:
            entry["version"] += 1
        with self.store.transaction("world"):
            self.store.run_many(_VERSION, new)
            self.store.run_many(_HEAD, new)

    def bill(self) -> None:
        """Freeze, approve and keep as charges, without an ERP."""
        self.send()
        batch = billing.freeze(self.store, self.config, ENTITY, _Until(name=f"{LAST:%Y-%m}", day=LAST), LAST)
        if batch is None:
            return
        shown = str(billing.check(self.store, self.config, PassGate(), batch)["content_hash"])
        for step, user in (("submit", "fiona"), ("approve", "frank")):
            say: Any = {"airflow_user": user, "approved": True, "content_hash": shown, "run_id": "r"}
            billing.decide(self.store, self.config, batch, step, **say)  # type: ignore[arg-type]
        with self.store.transaction("world"):
            for name in ("invoices", "invoice_lines", "charges"):
                self.store.run(sql("warehouse.billing", name), batch=batch)
            self.store.run("update billing.batch set state = 'posted' where batch_id = %(b)s", b=batch)

    def ledger(self) -> dict[tuple[str, str], tuple[int, Decimal]]:
        rows = self.store.rows(
            "select entry_key, component, sum(minutes) as minutes, sum(amount) as amount from billing.counted_charge "
            "group by 1, 2 having sum(minutes) <> 0"
        )
        return {(row["entry_key"], row["component"]): (row["minutes"], row["amount"]) for row in rows}

    def should(self) -> dict[tuple[str, str], tuple[int, Decimal]]:
        """The same by plain loops: each person's hours in the order of work, what is over the threshold by itself."""
        spans, found = defaultdict(list), {}
        for entry in self.entries.values():
            per = self.agreed[entry["project"].removeprefix("P-")][0]
            span = entry["on"] if per == "day" else entry["on"].isocalendar()[:2]
            if entry["approved"]:
                spans[entry["project"], entry["person"], span].append(entry)
        for (project, _, _), entries in spans.items():
            _, after, times, price, unit = self.agreed[project.removeprefix("P-")]
            over_price = (price * times).quantize(Decimal("0.0001"), ROUND_HALF_UP)
            left = after
            for entry in sorted(entries, key=lambda e: (e["on"], e["id"])):
                ordinary = min(entry["minutes"], left)
                left -= ordinary
                parts = (("work", ordinary, price), ("overtime", entry["minutes"] - ordinary, over_price))
                for part, minutes, each in parts:
                    if minutes:
                        amount = (minutes * each / unit).quantize(Decimal("0.01"), ROUND_HALF_UP)
                        found[entry["id"], part] = (minutes, amount)
        return found


@pytest.mark.parametrize("seed", range(1, 1 + max(SEEDS // 2, 1)))
def test_the_order_of_arrival_does_not_matter_and_both_parts_are_the_hours_worked(
    store: Store, config: Any, seed: int
) -> None:
    world = Contracts(store, config, random.Random(seed))
    for _ in range(ROUNDS):
        world.live()
        world.bill()
    for contract in world.agreed:  # enough new hours that no credit has to wait
        for _ in range(12):
            world.add(contract)
    world.bill()
    assert world.ledger() == world.should()
    worked = {e["id"]: e["minutes"] for e in world.entries.values() if e["approved"]}
    billed = defaultdict(int)
    for (entry, _), (minutes, _) in world.ledger().items():
        billed[entry] += minutes
    assert billed == worked and any(part == "overtime" for _, part in world.ledger())
    world.bill()
    assert world.ledger() == world.should()


# other prices for what is frozen

CHEAPER = "  rates:\n    - {role: Consultant, valid_from: 2026-01-01, hourly_rate: 100}\n"


def frozen(office: Office) -> list[tuple[str, Decimal]]:
    """The lines of the open batch."""
    batch = office.store.value("select batch_id from billing.batch order by frozen_at desc limit 1")
    rows = office.store.rows("select * from billing.batch_content where batch_id = %(b)s order by charge_id", b=batch)
    return [(row["charge_id"], row["amount"].normalize()) for row in rows]


def rerate(office: Office, user: str | None = None) -> tuple[str | None, list[tuple[Any, ...]]]:
    person = office.firm.config.person_of(user) if user else None
    batch, changes = re_rating.rerate(office.store, office.firm.config, ENTITY, Period(name="2026-10"), person)
    return batch, [tuple(change) for change in changes]


def test_a_new_price_is_not_for_what_is_frozen_until_a_person_says_so(office: Office) -> None:
    office.work((1, 60))
    batch = office.firm.approve()
    office.agree(CHEAPER)
    office.work((2, 60), updated_at=LATER)
    office.firm.freeze()  # the batch of every night
    assert frozen(office) == [("1.1", Decimal("180.5")), ("2.1", Decimal(100))]
    _, changes = rerate(office)
    new = "contract|E-1001.C1||Consultant||USD|2026-01-01"
    assert changes == [
        ("rate", "P-1001", "5|Consultant|2026-01-01", new, 1, Decimal(1), Decimal("180.5"), Decimal(100), "USD")
    ]
    assert frozen(office) == [("1.1", Decimal("180.5")), ("2.1", Decimal(100))]  # showing it changed nothing
    made, applied = rerate(office, "rita")
    assert applied == changes and frozen(office) == [("1.1", Decimal(100)), ("2.1", Decimal(100))]
    assert office.store.value("select state from billing.batch where batch_id = %(b)s", b=batch) == "stale"
    told = office.store.row("select actor, detail from ops.audit where action = 'billing.rerated'")
    assert told is not None and told["actor"] == "P-401" and told["detail"]["batch"] == made
    assert rerate(office) == (None, [])


def test_what_two_persons_approved_is_posted_at_the_price_they_saw(office: Office) -> None:
    office.work((1, 60))
    batch = office.firm.approve()
    office.agree(CHEAPER)
    office.firm.post(batch)
    assert office.ledger() == {"1.1": (60, Decimal("180.5"))}


def test_billed_work_keeps_its_rate_row_whatever_is_re_rated(office: Office) -> None:
    office.work((1, 60))
    office.firm.bill()
    office.agree(CHEAPER)
    before = office.store.rows("select * from billing.charge")
    assert rerate(office, "rita") == (None, [])  # nothing is frozen
    office.work((2, 60), updated_at=LATER)
    office.firm.freeze()
    office.agree(CHEAPER.replace("100", "90"))
    assert [change[6:8] for change in rerate(office, "rita")[1]] == [(Decimal(100), Decimal(90))]
    assert frozen(office) == [("2.1", Decimal(90))]
    assert office.store.rows("select * from billing.charge") == before


def test_hours_edited_after_they_were_frozen_keep_their_price_and_those_of_another_role_do_not(office: Office) -> None:
    office.agree(OVERTIME)
    office.work((1, 600))
    office.firm.freeze()
    office.agree(CHEAPER + OVERTIME.replace("after_hours: 8", "after_hours: 9"))
    office.work((1, 660), updated_at=LATER)
    office.firm.freeze()
    assert frozen(office) == [("1.2", Decimal(1444)), ("1.2/overtime", Decimal("812.25"))]
    rerate(office, "rita")
    assert frozen(office) == [("1.2", Decimal(900)), ("1.2/overtime", Decimal(300))]


def test_a_rejected_batch_leaves_no_price_behind(office: Office) -> None:
    office.work((1, 60))
    batch = office.firm.freeze()
    assert batch is not None
    shown = str(billing.check(office.store, office.firm.config, PassGate(), batch)["content_hash"])
    with pytest.raises(GateFailed):
        office.firm.decide(batch, "submit", "fiona", shown, approved=False)
    office.agree(CHEAPER)
    office.firm.freeze()
    assert frozen(office) == [("1.1", Decimal(100))]


def test_a_price_that_is_gone_is_shown_as_none_and_the_hour_is_held(office: Office) -> None:
    office.agree(CHEAPER)
    office.work((1, 60), (2, 60))
    office.firm.freeze()
    office.say("delete from core.agreed_rate")
    office.agree(CHEAPER + CHEAPER.splitlines()[1].replace("2026-01-01", "2026-01-02") + "\n")
    assert [change[3:8] for change in rerate(office)[1]] == [
        ("RATE_AMBIGUOUS", 2, Decimal(2), Decimal(200), None),
    ]
    assert rerate(office, "rita")[0] is None and office.left_out() == [
        ("1", "RATE_AMBIGUOUS", 60), ("2", "RATE_AMBIGUOUS", 60),
    ]  # fmt: skip


def test_only_who_edits_rates_applies_them_and_only_for_the_period_of_the_batch(office: Office) -> None:
    office.work((1, 60))
    office.firm.freeze()
    with pytest.raises(NeedsReview, match="fiona may not re-rate; it takes the duty rates"):
        rerate(office, "fiona")
    with pytest.raises(GateFailed, match=r"MER-US\.2026-10\.1 is of 2026-10 and not posted; re-rate that period"):
        re_rating.rerate(office.store, office.firm.config, ENTITY, Period(name="2026-11"))


def test_the_terminal_shows_the_difference_and_applies_it_only_when_told(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def opened() -> Iterator[Any]:
        yield office.store, office.firm.config

    def psflow(*words: str) -> str:
        of = ("rerate", "--entity", ENTITY, "--period", "2026-10")
        return CliRunner().invoke(app, [*of, *words], env={"COLUMNS": "300"}).output

    monkeypatch.setattr(command, "open_store", opened)
    office.work((1, 60))
    office.firm.freeze()
    assert "no price differs" in psflow()
    office.agree(CHEAPER)
    shown = psflow()
    assert "5|Consultant|2026-01-01" in shown and "nothing is changed" in shown
    assert "USD: before 180.500, after 100.000, difference -80.500" in shown
    assert "--apply takes --as" in psflow("--apply")
    assert "batch MER-US.2026-10.2 has these prices" in psflow("--apply", "--as", "rita")
    assert json.loads(psflow("--json")) == {"batch": None, "changes": []}


def test_what_has_no_price_any_more_is_no_zero_in_the_sum() -> None:
    kept = ("rate", "P-1", "A", "B", 1, Decimal(1), Decimal(180), Decimal(100), "USD")
    lost = ("rate", "P-1", "A", "RATE_MISSING", 1, Decimal(1), Decimal(90), None, "USD")
    changes = [re_rating.Change(*kept), re_rating.Change(*lost)]
    assert re_rating.totals(changes) == [("USD", Decimal(180), Decimal(100), Decimal(90))]
