"""A NUL, which no text of Postgres holds, in what a vendor wrote: the record waits for a person, the rest goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from psflow.flows import sync, time_expense
from tests.flows.conftest import Firm, config, firm, kantata_sandbox, salesforce_sandbox, serve

__all__ = ["config", "firm", "kantata_sandbox", "salesforce_sandbox", "serve"]
NUL, RECEIVED = "a\0b", '{"id": "a\\u0000b"}'


def waiting(firm: Firm) -> list[tuple[str, str]]:
    return [(row["entity"], row["record_id"]) for row in firm.exceptions("record")]


def payloads(firm: Firm, kind: str) -> str:
    return str(firm.store.value("select string_agg(payload, chr(10)) from raw.record where kind = %(kind)s", kind=kind))


@pytest.mark.parametrize("field", ["notes", "user_id", "workspace_id"])
def test_an_hour_with_a_nul_waits_with_its_payload_and_the_others_are_loaded(firm: Firm, field: str) -> None:
    firm.start()
    firm.log(1, **{field: NUL})
    firm.log(2)
    assert time_expense.load(firm.store, firm.config, firm.psa)["changed"] == 1
    assert waiting(firm) == [("time_entry", "1")]
    assert "a\\u0000b" in payloads(firm, "time_entry")
    firm.log(1, updated_at="2026-11-01T12:00:00Z")
    time_expense.load(firm.store, firm.config, firm.psa)
    assert waiting(firm) == []


@pytest.mark.parametrize("field", ["notes", "category", "user_id"])
def test_an_expense_with_a_nul_waits_with_its_payload(firm: Firm, field: str) -> None:
    firm.start()
    firm.spend(1, **{field: NUL})
    firm.spend(2)
    assert time_expense.load_expenses(firm.store, firm.config, firm.psa)["changed"] == 1
    assert waiting(firm) == [("expense_entry", "1")]
    assert "a\\u0000b" in payloads(firm, "expense_entry")


def test_a_record_whose_id_has_a_nul_waits_too(firm: Firm) -> None:
    firm.start()
    firm.log(1)
    firm.psa = WithNul(firm.psa)
    sync.pull_psa(firm.store, firm.config, firm.psa)
    assert time_expense.load(firm.store, firm.config, firm.psa)["changed"] == 1
    assert waiting(firm) == [("resource", "a\\u0000b"), ("time_entry", "a\\u0000b")]


class WithNul:
    """A Kantata whose lists end with one more record, that the sandbox would refuse: a NUL is in its id."""

    def __init__(self, psa: Any) -> None:
        self.psa = psa

    def __getattr__(self, name: str) -> Any:
        return getattr(self.psa, name)

    def resources(self) -> Iterator[Any]:
        for page in self.psa.resources():
            yield page
            yield page._replace(rows=[row._replace(record_id=NUL, record=_named(row)) for row in page.rows], bad=[])

    def time_entries(self, since: Any) -> Iterator[Any]:
        for page in self.psa.time_entries(since):
            yield page
            yield page._replace(rows=[row._replace(time_entry_id=NUL, payload=RECEIVED) for row in page.rows], bad=[])


def _named(row: Any) -> Any:
    return row.record.model_copy(update={"resource_id": NUL})


def test_people_and_roles_with_a_nul_stop_nobody(firm: Firm) -> None:
    people = [{"id": "8", "full_name": NUL, "role_id": "1"}, {"id": "9", "full_name": "Bo", "role_id": "3"}]
    firm.kantata.load({"users": people, "roles": [{"id": "3", "name": NUL}]})
    firm.start()
    assert waiting(firm) == [("resource", "8")]
    firm.log(1, role_id="3")
    assert time_expense.load(firm.store, firm.config, firm.psa)["changed"] == 1
    assert firm.store.value("select role from core.resource where resource_id = '9'") == "a\\u0000b"


def test_a_customer_and_a_deal_with_a_nul_wait_and_the_others_come_in(firm: Firm) -> None:
    firm.salesforce.load({"Account": [{"Id": "001000000000002", "Name": NUL, "AccountNumber": "78"}]})
    firm.win(1)
    firm.win(2, Name=NUL)
    firm.win(3, Legal_Entity__c=NUL)
    sync.pull_psa(firm.store, firm.config, firm.psa)
    started = sync.pull_crm(firm.store, firm.config, firm.crm)["start"]
    assert [run["engagement_id"] for run in started] == ["E-1001"]
    assert waiting(firm) == [("customer", "001000000000002AAA"), ("opportunity", "006000000000002AAA"),
                             ("opportunity", "006000000000003AAA")]  # fmt: skip
    assert payloads(firm, "opportunity").count("a\\u0000b") == 2
