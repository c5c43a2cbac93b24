"""
Ledgers that earlier versions recorded, under the code of this one: the same flows find every write done.

A key or a payload that came out otherwise would be a second write of something that is there. Record a new scenario
with `make replay RECORD=1`; a recorded ledger is never recorded again.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from psflow.errors import PsflowError
from psflow.store.effects import NewEffect
from psflow.systems.float.client import Float
from psflow.systems.kantata.client import Kantata
from psflow.systems.salesforce.client import Salesforce
from tests.flows.conftest import Ledger, config, firm
from tests.flows.test_staffing import Desk, desk
from tests.proof import ledger
from tests.proof.scenarios import SCENARIOS
from tests.systems.conftest import float_sandbox, kantata_sandbox, salesforce_sandbox, serve

__all__ = ["config", "desk", "firm", "float_sandbox", "kantata_sandbox", "salesforce_sandbox", "serve"]
LEAST = 20


def _replay(desk: Desk, scenario: str, monkeypatch: pytest.MonkeyPatch) -> tuple[ledger.Vendors, list[str]]:
    """
    Run a scenario over its recorded ledger; return what its vendors saw, and what came out otherwise.

    What is decided is looked at too, not only what is sent: a flow that finds its write done keeps the first decision.
    """
    recorded = ledger.read(scenario)
    vendors, decided = ledger.Vendors(), list[NewEffect]()
    ledger.lay_under(desk.firm.store, desk.firm.erp, recorded)
    for system in (Float, Kantata, Salesforce, Ledger):
        monkeypatch.setattr(system, "perform", lambda _, effect: vendors.perform(effect))
        if hasattr(system, "perform_many"):
            monkeypatch.setattr(system, "perform_many", lambda _, effects: [_answer(vendors, e) for e in effects])
    made = NewEffect.__init__

    def noted(self: NewEffect, *given: Any, **named: Any) -> None:
        made(self, *given, **named)
        decided.append(self)

    monkeypatch.setattr(NewEffect, "__init__", noted)
    SCENARIOS[scenario](desk)
    return vendors, [*ledger.changed(desk.firm.store, recorded), *ledger.otherwise(decided, recorded)]


def _answer(vendors: ledger.Vendors, effect: Any) -> Any:
    try:
        return vendors.perform(effect)
    except PsflowError as error:
        return error


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_recorded_ledger_causes_no_new_call_and_no_new_effect(
    desk: Desk, scenario: str, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    if os.environ.get("RECORD") and not ledger.path(scenario).exists():
        SCENARIOS[scenario](desk)
        ledger.record(desk.firm.store, scenario)
        return
    vendors, changed = _replay(desk, scenario, monkeypatch)
    record_property("effects", len(ledger.read(scenario)))
    assert (vendors.new, changed) == ([], [])


def test_there_are_enough_ledgers_and_none_names_a_person() -> None:
    files = sorted(ledger.FOLDER.glob("*.json"))
    assert {file.stem for file in files} == set(SCENARIOS) and len(files) >= LEAST
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert not [name for name in ("Ann Lee", "Ben", "Cleo", "@meridian") if name in text], file.name
        assert "recorded_by" in text and '"state": "intent"' not in text


def test_a_key_that_came_out_otherwise_would_be_caught(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    other = property(lambda self: f"{self.system}:{self.capability}:{self.subject}!")
    monkeypatch.setattr(NewEffect, "key", other)
    with pytest.raises(PsflowError, match="was never sent before"):
        _replay(desk, "activates", monkeypatch)


def test_a_payload_that_came_out_otherwise_would_be_caught(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    made = NewEffect.__init__

    def other(self: NewEffect, system: str, capability: str, subject: str, payload: Any, *rest: Any) -> None:
        made(self, system, capability, subject, payload | {"version": 2}, *rest)

    monkeypatch.setattr(NewEffect, "__init__", other)
    vendors, changed = _replay(desk, "activates", monkeypatch)
    assert vendors.new == [] and len(changed) == len(ledger.read("activates"))
    assert all(said.endswith("is decided with another payload") for said in changed)
