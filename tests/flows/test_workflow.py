"""Where each engagement stands, who acts next, and what it is worth: one row that follows the deal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from psflow.errors import GateFailed
from psflow.flows import activation, billing
from psflow.gates.suite import FailingRow
from psflow.store import exceptions
from psflow.store.exceptions import Finding
from tests.flows.conftest import Firm, PassGate


def stands(firm: Firm, engagement_id: str = "E-1001") -> dict[str, Any]:
    row = firm.store.row("select * from ops.workflow_state where engagement_id = %(id)s", id=engagement_id)
    assert row is not None
    return row


def where(firm: Firm) -> tuple[str, str, str | None]:
    row = stands(firm)
    return row["stage"], row["state"], row["owner_team"]


def test_a_won_deal_waits_for_its_activation_and_then_for_nobody(firm: Firm) -> None:
    firm.win()
    (run,) = firm.sync()["start"]
    assert where(firm) == ("activation", "waiting", None)
    assert (stands(firm)["amount"], stands(firm)["currency"]) == (Decimal(50000), "USD")
    firm.activate(**run)
    assert where(firm) == ("delivery", "running", None)


def test_a_blocked_deal_names_the_team_of_its_oldest_exception_and_its_fix(firm: Firm) -> None:
    firm.win(Legal_Entity__c="Mars")
    (run,) = firm.sync()["start"]
    with pytest.raises(GateFailed):
        activation.check(firm.store, firm.config, **run)
    assert where(firm) == ("activation", "blocked", "sales operations")
    assert stands(firm)["next_step"] == firm.config.routing["legal_entity"].fix


def test_a_blocked_deal_that_is_lost_asks_nobody_any_more(firm: Firm) -> None:
    firm.win(Legal_Entity__c="Mars", Rate_Card__c="nowhere")
    (run,) = firm.sync()["start"]
    with pytest.raises(GateFailed):
        activation.check(firm.store, firm.config, **run)
    firm.win(Legal_Entity__c="Mars", Rate_Card__c="nowhere", StageName="Closed Lost", IsWon=False)
    firm.sync()
    assert firm.exceptions() == []
    told = firm.store.rows("select what, comment from ops.exception_event where what <> 'opened'")
    assert [tuple(row.values()) for row in told] == [("resolved", "deal lost")] * 2
    assert where(firm) == ("activation", "closed", None)
    assert stands(firm)["next_step"] == "the deal is lost; win it again to start over"
    firm.win(Legal_Entity__c="Meridian US")
    assert firm.sync()["restart"] == [run], "won again, it starts again"


def test_a_won_deal_that_is_lost_before_its_activation_waits_for_nothing(firm: Firm) -> None:
    firm.win()
    firm.sync()
    firm.win(StageName="Closed Lost", IsWon=False)
    firm.sync()
    assert where(firm) == ("activation", "closed", None)
    firm.win()
    firm.sync()
    assert where(firm) == ("activation", "waiting", None)


def test_a_deal_that_is_lost_after_its_activation_is_being_closed(firm: Firm) -> None:
    firm.start()
    firm.win(StageName="Closed Lost", IsWon=False)
    firm.sync()
    assert where(firm) == ("delivery", "held", "data engineering")
    exceptions.close(firm.store, stands(firm)["exception_id"], "P-202", "waive", "the client told us")
    assert where(firm) == ("delivery", "running", None)
    assert stands(firm)["next_step"] == "none: the deal is lost, what was created is being closed"


def test_a_batch_waits_for_finance_twice_and_is_invoiced(firm: Firm) -> None:
    firm.start()
    firm.log(1)
    firm.load_time()
    batch = firm.freeze()
    assert batch is not None
    assert where(firm) == ("billing", "running", None)
    shown = str(billing.check(firm.store, firm.config, PassGate(), batch)["content_hash"])
    assert (*where(firm), stands(firm)["next_step"][:6]) == ("billing", "waiting", "finance", "submit")
    firm.decide(batch, "submit", "fiona", shown)
    assert (*where(firm), stands(firm)["next_step"][:7]) == ("billing", "waiting", "finance", "approve")
    firm.decide(batch, "approve", "frank", shown)
    firm.post(batch)
    row = stands(firm)
    assert (row["stage"], row["state"], row["invoiced_amount"]) == ("invoiced", "done", Decimal("180.50"))
    firm.log(2)
    firm.load_time()
    assert where(firm) == ("delivery", "running", None)


def test_a_held_hour_holds_the_engagement_without_stopping_it(firm: Firm) -> None:
    firm.start()
    firm.log(1, 99)
    firm.load_time(PassGate(1, (FailingRow("1", "minutes", "99", "TE-01", "odd"),)))
    assert where(firm) == ("delivery", "held", "pmo")
    exceptions.close(firm.store, stands(firm)["exception_id"], "P-202", "waive", "the client agreed")
    assert where(firm) == ("delivery", "running", None)


def test_a_request_without_a_person_is_a_matter_of_staffing(firm: Firm) -> None:
    firm.start()
    with firm.store.transaction("test"):
        exceptions.open_all(firm.store, firm.config, [
            Finding("staffing", "resource_request", "RR-1", "resource_id", None, "nobody is free", "E-1001")
        ])  # fmt: skip
    assert where(firm) == ("staffing", "held", "resource management")
