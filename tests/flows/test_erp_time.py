"""Hours of contracts that the ERP bills itself: there as they are approved now, each once, and none of the others."""

from __future__ import annotations

from typing import Any

import pytest

from psflow.config import NumberRule
from psflow.flows.erp_time import bills_itself, post_time
from psflow.systems import Copy, Undo
from tests.flows.conftest import ENTITY, Firm, Ledger


class Billing(Ledger):
    """An ERP that also keeps hours; its lines are found by their entry, and may be there twice."""

    def __init__(self, like: Ledger) -> None:
        super().__init__(like.profile, parties=like.parties, projects=like.projects)
        self.hours: dict[str, dict[str, Any]] = {}

    def _post_time(self, effect: Any) -> str:
        found = self._line(effect)
        if found and self.hours[found]["version"] < effect.payload["version"]:
            self.hours[found].update(effect.payload)
        return found or self._keep(self.hours, effect)

    def _void_time(self, effect: Any) -> str:
        self.hours[effect.payload["erp_time_id"]]["minutes"] = 0
        return str(effect.payload["erp_time_id"])

    def _line(self, effect: Any) -> str | None:
        entry = effect.payload["time_entry_id"]
        return next((number for number, line in self.hours.items() if line["time_entry_id"] == entry), None)

    def find(self, effect: Any) -> str | None:
        if effect.capability != "post_time":
            return super().find(effect)
        found = self._line(effect)
        return found if found and self.hours[found]["version"] >= effect.payload["version"] else None

    def copies(self, capability: str, key: str, payload: dict[str, Any]) -> list[Copy]:
        if capability != "post_time":
            return super().copies(capability, key, payload)
        mine = ((i, h) for i, h in self.hours.items() if h["time_entry_id"] == payload["time_entry_id"])
        return [Copy(i, "open" if h["minutes"] else "closed") for i, h in mine]

    def undo(self, capability: str, payload: dict[str, Any], external_id: str, *ends_on: Any) -> Undo | None:
        if capability != "post_time":
            return super().undo(capability, payload, external_id, *ends_on)
        return Undo("void_time", {"erp_time_id": external_id})

    def minutes(self) -> dict[str, int]:
        return {line["time_entry_id"]: line["minutes"] for line in self.hours.values() if line["minutes"]}


@pytest.fixture
def firm(firm: Firm) -> Firm:
    """A firm whose one company lets the ERP make its invoices, with one active project."""
    firm.config = firm.config.model_copy(update={"number_owner": (NumberRule(owner="erp", legal_entity_id=ENTITY),)})
    firm.start()
    firm.erp = Billing(firm.erp)
    return firm


def send(firm: Firm) -> dict[str, int]:
    firm.load_time()
    assert bills_itself(firm.store, firm.config, ENTITY)
    return post_time(firm.store, firm.config, firm.erp, firm.config.legal_entity(ENTITY))


def test_approved_billable_hours_are_there_once_however_often_it_runs(firm: Firm) -> None:
    firm.log(1, 90)
    firm.log(2, 60, approved=False)
    firm.log(3, 60, billable=False)
    assert send(firm) == {"sent": 1, "refused": 0}
    assert send(firm) == {"sent": 0, "refused": 0}
    assert firm.erp.minutes() == {"1": 90}
    (line,) = firm.erp.hours.values()
    assert (line["worked_on"], line["project_code"]) == ("2026-10-05", "P-1001")
    assert firm.freeze() is None  # psflow bills none of them


def test_an_edit_and_an_approval_taken_back_are_followed(firm: Firm) -> None:
    for number in (1, 2, 3):
        firm.log(number, 90)
    send(firm)
    later = {"updated_at": "2036-11-02T09:00:00Z"}
    firm.log(1, 30, **later)
    firm.log(2, 90, approved=False, **later)
    firm.log(3, 90, billable=False, **later)
    assert send(firm)["sent"] == 3
    assert firm.erp.minutes() == {"1": 30} and len(firm.erp.hours) == 3


def test_hours_of_a_project_that_moved_to_where_psflow_bills_are_taken_back(firm: Firm) -> None:
    firm.log(1, 90)
    send(firm)
    second = firm.start(2)
    mine = NumberRule(owner="psflow", contract_id=f"{second}.C1")
    firm.config = firm.config.model_copy(update={"number_owner": (mine, *firm.config.number_owner)})
    firm.log(1, 90, workspace_id="2", updated_at="2036-11-02T09:00:00Z")
    assert send(firm)["sent"] == 1
    assert firm.erp.minutes() == {}
    firm.bill()
    assert [line["hours"] for d in firm.erp.documents.values() for line in d["lines"]] == ["1.5000"]


def test_a_refused_hour_is_an_exception_and_the_others_go_on(firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    from psflow.errors import Rejected

    def refuse(effect: Any) -> str:
        if effect.payload["time_entry_id"] == "1":
            raise Rejected("no employee has this code; add the person")
        return Billing._post_time(firm.erp, effect)

    firm.log(1, 90)
    firm.log(2, 60)
    monkeypatch.setattr(firm.erp, "_post_time", refuse)
    assert send(firm) == {"sent": 1, "refused": 1}
    (found,) = firm.exceptions("effect")
    assert found["record_id"] == "tryton:post_time:1.1" and "add the person" in found["message"]
    monkeypatch.undo()
    assert send(firm) == {"sent": 1, "refused": 0}
    assert firm.erp.minutes() == {"1": 90, "2": 60} and firm.exceptions("effect") == []


def test_an_hour_that_landed_twice_is_emptied_once(firm: Firm) -> None:
    firm.log(1, 90)

    def late(when: str, capability: str) -> None:
        if when == "after" and capability == "post_time" and len(firm.erp.hours) == 1:
            (line,) = firm.erp.hours.values()
            firm.erp.hours["late"] = dict(line)  # an attempt before it landed after all
            raise TimeoutError

    firm.erp.fail = late
    assert send(firm)["sent"] == 1
    assert sorted(line["minutes"] for line in firm.erp.hours.values()) == [0, 90]
