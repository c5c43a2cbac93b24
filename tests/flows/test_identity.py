"""Who is who across systems, and who may say what: exact keys, then a person; never a score."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
import pytest

from psflow.config import Config
from psflow.contracts import Resource
from psflow.errors import NeedsReview
from psflow.flows.identity import Undecided, alike
from psflow.flows.reading import pull
from psflow.flows.sync_people import save_person
from psflow.store import matches
from psflow.store.connection import Row, Store
from psflow.systems.ports import BadRow, Page, Pulled
from tests.database import REGION, shipped


@dataclass(frozen=True)
class Source:
    """A system as far as the crosswalk asks."""

    key: str
    instance: str = "test"


HR, PSA, PLANNER = Source("bamboohr"), Source("kantata"), Source("float")


@pytest.fixture(scope="module")
def config() -> Config:
    return shipped()


@pytest.fixture
def save(store: Store, config: Config) -> Any:
    def save(system: Source, record_id: str, **fields: Any) -> str:
        known = {"resource_id": f"R-{system.key}-{record_id}", "name": "Ada Osei", "is_active": True}
        with store.transaction("test"):
            return save_person(config, store, system, record_id, Resource(**(known | fields)))  # type: ignore[arg-type]

    return save


def people(store: Store) -> list[Row]:
    return store.rows("select * from core.resource order by resource_id")


def drift(store: Store) -> list[tuple[str, str, str, str]]:
    rows = store.rows("select field, system, owner_value, system_value from ops.drift order by field")
    return [(r["field"], r["system"], r["owner_value"], r["system_value"]) for r in rows]


def open_exceptions(store: Store, rule: str) -> list[Row]:
    return store.rows("select * from ops.exceptions where rule = %(rule)s and state = 'open'", rule=rule)


def test_one_work_email_is_one_person_in_every_system(store: Store, save: Any) -> None:
    ours = save(HR, "12", work_email="ada@meridian.test", region="EU")
    assert save(PSA, "900", work_email="ada@meridian.test", role="Partner") == ours
    assert save(PLANNER, "7", work_email="ada@meridian.test", skills=("sap",)) == ours
    (ada,) = people(store)
    assert (ada["region"], ada["role"], ada["skills"]) == ("EU", "Partner", ["sap"])
    assert store.value("select count(*) from ops.crosswalk where kind = 'resource'") == 3


def test_people_of_one_name_with_different_emails_are_two_people_until_somebody_says_otherwise(
    store: Store, save: Any
) -> None:
    save(HR, "12", work_email="ada@meridian.test")
    with pytest.raises(Undecided, match="looks like R-bamboohr-12"):
        save(PLANNER, "7", work_email="a.osei@meridian.test")
    assert len(people(store)) == 1


def test_two_people_of_one_name_in_one_system_are_never_asked_about(store: Store, save: Any) -> None:
    assert save(HR, "12", work_email="ada@meridian.test") != save(HR, "13", work_email="ada2@meridian.test")


@pytest.mark.parametrize(("said", "people_then"), [("same", 1), ("different", 2)])
def test_a_person_decides_and_the_next_read_acts_on_it(store: Store, save: Any, said: Any, people_then: int) -> None:
    save(HR, "12", work_email="ada@meridian.test")
    with store.transaction("test"):
        matches.propose(store, "resource", PLANNER, "7", {"R-bamboohr-12": 100.0})
        matches.decide(store, "resource", "float", "7", "R-bamboohr-12", said, "P-201")
    save(PLANNER, "7", work_email="a.osei@meridian.test")
    assert len(people(store)) == people_then


def test_nobody_decides_about_what_was_never_proposed(store: Store) -> None:
    with pytest.raises(NeedsReview, match="never proposed"):
        matches.decide(store, "resource", "float", "7", "R-1", "same", "P-201")


def test_the_person_of_a_record_stays_when_its_email_changes(store: Store, save: Any) -> None:
    ours = save(HR, "12", work_email="ada@meridian.test")
    assert save(HR, "12", work_email="ada.osei@meridian.test") == ours
    assert people(store)[0]["work_email"] == "ada.osei@meridian.test"


def test_two_records_of_one_system_cannot_share_an_email(store: Store, save: Any) -> None:
    save(HR, "12", work_email="ada@meridian.test")
    with pytest.raises(NeedsReview, match="two records of resource R-bamboohr-12 with one exact key"):
        save(HR, "13", work_email="ada@meridian.test")


def test_a_system_that_does_not_own_a_field_is_refused_listed_and_told(store: Store, save: Any) -> None:
    save(HR, "12", work_email="ada@meridian.test", region="EU")
    save(PLANNER, "7", work_email="ada@meridian.test", region="UK", skills=("sap",))
    (ada,) = people(store)
    assert (ada["region"], ada["skills"]) == ("EU", ["sap"])
    assert drift(store) == [("region", "float", "EU", "UK")]
    (told,) = open_exceptions(store, "ownership")
    assert (told["record_id"], told["field"], told["value"]) == ("R-bamboohr-12@float", "region", "UK")


def test_drift_ends_when_the_systems_agree_again(store: Store, save: Any) -> None:
    save(HR, "12", work_email="ada@meridian.test", region="EU")
    save(PLANNER, "7", work_email="ada@meridian.test", region="UK")
    save(PLANNER, "7", work_email="ada@meridian.test", region="EU")
    assert (drift(store), open_exceptions(store, "ownership")) == ([], [])


def test_what_an_owner_never_said_may_come_from_another_until_it_speaks(store: Store, save: Any) -> None:
    save(PSA, "900", work_email="ada@meridian.test", region="UK")
    assert people(store)[0]["region"] == "UK"
    save(HR, "12", work_email="ada@meridian.test", region="EU")
    assert people(store)[0]["region"] == "EU"
    save(PSA, "900", work_email="ada@meridian.test", region=None)
    assert (people(store)[0]["region"], drift(store)) == ("EU", [])


def test_reading_the_same_again_changes_nothing(store: Store, save: Any) -> None:
    def content() -> Any:
        tables = (
            "core.resource",
            "core.history",
            "ops.drift",
            "ops.crosswalk",
            "ops.match_candidate",
            "ops.exceptions",
        )
        return [store.rows(f"select * from {table} order by 1, 2, 3") for table in tables]  # type: ignore[arg-type]

    for _ in range(2):
        save(HR, "12", work_email="ada@meridian.test", region="EU", employed_from=dt.date(2025, 1, 1))
        save(PLANNER, "7", work_email="ada@meridian.test", region="UK")
        before = content()
    assert content() == before
    assert store.value("select count(*) from core.history where entity = 'resource'") == 1


def test_every_state_of_a_person_is_kept_with_its_dates(store: Store, save: Any) -> None:
    save(PSA, "900", work_email="ada@meridian.test", role="Consultant")
    save(PSA, "900", work_email="ada@meridian.test", role="Partner")
    rows = store.rows("select content ->> 'role' as role, valid_to from core.history order by valid_from")
    assert [(r["role"], r["valid_to"] is None) for r in rows] == [("Consultant", False), ("Partner", True)]


def test_history_cannot_lose_a_state(store: Store) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), store.transaction("test"):
        store.run("delete from core.history")


@pytest.mark.parametrize(
    ("one", "other", "is_alike"),
    [
        ("Globex Industrial", "Globex Industrial Inc.", True),
        ("GLOBEX INDUSTRIAL, LLC", "Industrial Globex", True),
        ("Globex Industrial", "Globex Industries", True),
        ("Globex Industrial", "Initech Software", False),
        ("Northwind Analytics", "Northwind Traders", False),
        ("Umbra Health", "Umbra Wealth", False),
    ],
)
def test_spellings_of_one_name_are_alike_and_names_of_two_are_not(one: str, other: str, is_alike: bool) -> None:
    assert bool(alike(one, {"C-1": other})) is is_alike


def page(*ids: str, bad: tuple[str, ...] = ()) -> Iterator[Page[Resource]]:
    rows = [Pulled(i, Resource(resource_id=f"R-{i}", name=f"Person {i}", is_active=True), "{}", None) for i in ids]
    return iter([Page(rows, [BadRow(i, "name is missing", "{}") for i in bad])])


def test_a_record_of_one_system_says_nothing_about_the_one_with_its_number_in_another(
    store: Store, config: Config
) -> None:
    save = partial(save_person, config)
    pull(store, config, PSA, "resource", page("8", bad=("7",)), save)  # type: ignore[arg-type]
    pull(store, config, HR, "resource", page("7", bad=("8",)), save)  # type: ignore[arg-type]
    told = sorted((row["record_id"], row["message"]) for row in open_exceptions(store, "record"))
    assert told == [("7", "kantata: name is missing"), ("8", "bamboohr: name is missing")]


def test_two_systems_that_read_one_new_person_at_once_make_one_and_ask(
    store: Store, app_url: str, config: Config
) -> None:
    started, asked = threading.Event(), list[BaseException]()

    def psa() -> None:
        with Store.open(app_url, REGION) as other:
            started.set()
            try:
                with other.transaction("test"):
                    person = Resource(resource_id="900", name="Ada Osei", is_active=True)
                    save_person(config, other, PSA, "900", person)  # type: ignore[arg-type]
            except Undecided as error:
                asked.append(error)

    with store.transaction("test"):
        person = Resource(resource_id="R-12", name="Ada Osei", is_active=True, work_email="ada@meridian.test")
        save_person(config, store, HR, "12", person)  # type: ignore[arg-type]
        thread = threading.Thread(target=psa)
        thread.start()
        started.wait(5)
        thread.join(0.5)
    thread.join(5)
    assert len(asked) == 1 and len(people(store)) == 1


def test_what_its_owner_leaves_empty_does_not_come_and_go_with_each_read(store: Store, save: Any) -> None:
    def read() -> Any:
        save(HR, "12", work_email="ada@meridian.test")
        save(PSA, "900", work_email="ada@meridian.test", skills=("sap",))
        save(PLANNER, "7", work_email="ada@meridian.test")
        return store.value("select count(*) from core.history")

    read()
    assert read() == read()
