"""A vendor that changes its answers is noticed before it hurts, and nothing is stopped for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from psflow.store import shapes
from psflow.store.connection import Store


@dataclass(frozen=True)
class Vendor:
    key: str
    instance: str = "test"


CRM = Vendor("salesforce")
DEAL = {"Id": "006", "Amount": 12.5, "IsWon": True, "Lines": [], "Owner": {"Id": "005"}, "Note": None}


def note(store: Store, *records: Any, kind: str = "opportunity", vendor: Vendor = CRM) -> list[str]:
    with store.transaction("test"):
        return [found.message for found in shapes.note(store, vendor, kind, [json.dumps(r) for r in records])]


def learn(store: Store, admin_url: str) -> None:
    """A day ago we saw a deal for the first time."""
    note(store, DEAL)
    with psycopg.connect(admin_url) as admin:
        admin.execute("update raw.field set first_seen_at = first_seen_at - interval '25 hours'")


def test_more_of_the_same_says_nothing(store: Store, admin_url: str) -> None:
    learn(store, admin_url)
    assert note(store, DEAL, DEAL | {"Amount": 3}) == []


def test_on_its_first_day_a_new_kind_of_record_is_learned_in_silence(store: Store) -> None:
    assert note(store, DEAL) == note(store, DEAL | {"Forecast__c": 1}) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"Amount": "12.50"}, "salesforce: opportunity.Amount comes as text, was number"),
        ({"IsWon": 1}, "salesforce: opportunity.IsWon comes as number, was boolean"),
        ({"Owner": "005"}, "salesforce: opportunity.Owner comes as text, was object"),
        ({"Forecast__c": 1}, "salesforce: opportunity.Forecast__c is new (number)"),
        ({"Note": "late"}, "salesforce: opportunity.Note is new (text)"),
    ],
)
def test_a_new_or_retyped_field_is_told_once(store: Store, admin_url: str, change: dict[str, Any], told: str) -> None:
    learn(store, admin_url)
    (message,) = note(store, DEAL | change)
    assert message.startswith(told)
    assert note(store, DEAL | change) == []


def test_a_field_that_is_empty_or_left_out_is_no_change(store: Store, admin_url: str) -> None:
    learn(store, admin_url)
    assert note(store, {"Id": "007", "Amount": None}) == []


def test_kinds_and_systems_are_known_apart(store: Store, admin_url: str) -> None:
    learn(store, admin_url)
    assert note(store, {"Other": 1}, kind="customer") == []
    assert note(store, {"Other": 1}, vendor=Vendor("kantata")) == []


def test_what_is_no_json_object_is_somebody_else_s_to_tell(store: Store, admin_url: str) -> None:
    learn(store, admin_url)
    with store.transaction("test"):
        assert shapes.note(store, CRM, "opportunity", ["<html>", "[1]", ""]) == []
