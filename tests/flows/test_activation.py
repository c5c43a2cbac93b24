"""A won deal becomes one project in ERP and PSA, or none and an exception."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from psflow.contracts import VendorProfile
from psflow.errors import GateFailed, NeedsReview, Rejected, TransientError, UncertainOutcome
from psflow.flows import activation
from psflow.flows.failure import activation_failed
from psflow.systems.transport import Transport
from tests.flows.conftest import CARDS, Firm

GOLD = {
    "rate_card_sets": [*CARDS["rate_card_sets"], {"id": "2", "title": "Gold", "rate_card_ids": ["6"]}],
    "rate_card_set_versions": [
        *CARDS["rate_card_set_versions"],
        {"id": "13", "rate_card_set_id": "2", "active": True, "effective_date": "2026-01-01"},
    ],
    "rate_cards": [
        *CARDS["rate_cards"],
        {"id": "6", "currency": "USD", "rate_card_set_id": "2", "rate_card_version_ids": ["23"]},
    ],
    "rate_card_versions": [
        *CARDS["rate_card_versions"],
        {"id": "23", "rate_card_id": "6", "rate_card_set_version_id": "13", "default_rate": 30000},
    ],
}


def states(firm: Firm) -> dict[str, str]:
    return {r["engagement_id"]: r["state"] for r in firm.store.rows("select engagement_id, state from ops.workflow")}


def workspaces(firm: Firm) -> int:
    return int(firm.kantata.state()["records"].get("workspaces", 0))


def statuses(firm: Firm) -> list[str | None]:
    pages = firm.crm._query("SELECT Id, Activation_Status__c FROM Opportunity")
    return [json.loads(raw)["Activation_Status__c"] for page in pages for raw in page]


def test_a_won_deal_becomes_a_project_in_both_systems_and_the_crm_knows_it(firm: Firm) -> None:
    engagement = firm.start()
    assert states(firm) == {engagement: "active"}
    assert (len(firm.erp.parties), len(firm.erp.projects), workspaces(firm)) == (1, 1, 1)
    assert firm.salesforce.state()["writes"] == 1
    deal = activation.finish(firm.store, firm.config, firm.crm, engagement, 1)
    assert deal == "006000000000001AAA" and firm.salesforce.state()["writes"] == 1
    project = firm.store.row("select * from core.project")
    assert project and project["project_code"] == "P-" + engagement.removeprefix("E-")
    assert firm.erp.projects["1"]["customer_ref"] == "1"


def test_an_open_deal_starts_nothing(firm: Firm) -> None:
    firm.win(IsWon=False, IsClosed=False)
    assert firm.sync()["start"] == []


def test_the_same_event_twice_starts_one_engagement(firm: Firm) -> None:
    firm.win()
    first, again = firm.sync(), firm.sync()
    assert (first["engagements"], again["engagements"]) == (1, 0)
    assert first["start"] == again["start"]


def test_activating_twice_writes_once(firm: Firm) -> None:
    engagement = firm.start()
    calls = list(firm.erp.calls)
    writes = firm.kantata.state()["writes"], firm.salesforce.state()["writes"]
    firm.activate(engagement)
    assert firm.erp.calls == calls
    assert (firm.kantata.state()["writes"], firm.salesforce.state()["writes"]) == writes


def test_all_reasons_are_told_at_once_each_with_its_owner(firm: Firm) -> None:
    firm.win(Legal_Entity__c="Meridian Mars", Rate_Card__c=None)
    (run,) = firm.sync()["start"]
    with pytest.raises(GateFailed, match="Meridian Mars.*rate_card is empty"):
        activation.check(firm.store, firm.config, **run)
    assert states(firm) == {run["engagement_id"]: "blocked"}
    found = [(e["rule"], e["field"], e["value"], e["owner_team"]) for e in firm.exceptions()]
    assert found == [
        ("legal_entity", "legal_entity", "Meridian Mars", "sales operations"),
        ("rate_card", "rate_card", None, "finance"),
    ]
    assert firm.erp.calls == [] and workspaces(firm) == 0


def test_a_fixed_deal_starts_again_and_its_exceptions_close(firm: Firm) -> None:
    firm.win(Legal_Entity__c="Meridian Mars")
    (run,) = firm.sync()["start"]
    with pytest.raises(GateFailed):
        activation.check(firm.store, firm.config, **run)
    assert firm.sync()["restart"] == []
    firm.win(Legal_Entity__c="Meridian US")
    assert firm.sync()["restart"] == [run]
    firm.activate(**run)
    assert states(firm) == {run["engagement_id"]: "active"} and firm.exceptions() == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"CurrencyIsoCode": "EUR"}, "the deal is in EUR, the rate card in USD"),
        ({"Start_Date__c": "2025-12-31"}, "no rate on the start date"),
        ({"Start_Date__c": None}, "no start date"),
        ({"Rate_Card__c": "Gold"}, "'Gold' is not one we map; known: Standard"),
        ({"Contract_Type__c": "Fixed Fee"}, "'Fixed Fee' is not one we map; known: Milestone"),
    ],
)
def test_a_deal_that_could_not_be_billed_is_blocked(firm: Firm, fields: dict[str, Any], reason: str) -> None:
    firm.win(**fields)
    (run,) = firm.sync()["start"]
    with pytest.raises(GateFailed, match=reason):
        activation.check(firm.store, firm.config, **run)


def test_a_time_out_after_commit_in_the_psa_ends_with_one_workspace(firm: Firm) -> None:
    firm.kantata.arm("POST /api/v1/workspaces", "timeout_after_commit")
    engagement = firm.start()
    assert workspaces(firm) == 1 and states(firm) == {engagement: "active"}
    effect = firm.store.row("select * from ops.effect where capability = 'create_project' and system = 'kantata'")
    assert effect and (effect["state"], effect["attempts"]) == ("done", 2)


def test_a_lost_answer_in_the_erp_ends_with_one_project(firm: Firm) -> None:
    lost = iter([True])

    def drop(when: str, capability: str) -> None:
        if (when, capability) == ("after", "create_project") and next(lost, False):
            raise UncertainOutcome("reset")

    firm.erp.fail = drop
    firm.start()
    assert len(firm.erp.projects) == 1 and firm.erp.calls.count("create_project") == 1


def test_a_throttled_write_is_sent_again_and_uses_no_attempt(firm: Firm) -> None:
    firm.kantata.arm("POST /api/v1/workspaces", "throttle")
    firm.start()
    effect = firm.store.row("select * from ops.effect where capability = 'create_project' and system = 'kantata'")
    assert effect and (effect["state"], effect["attempts"]) == ("done", 1)


def test_a_refusal_in_the_psa_closes_the_erp_project_and_deletes_nothing(firm: Firm) -> None:
    firm.win(Start_Date__c="2026-10-01")
    (run,) = firm.sync()["start"]
    activation.check(firm.store, firm.config, **run)
    activation.create_in_erp(firm.store, firm.config, firm.erp, **run)
    firm.kantata.control("reset")  # the PSA lost the rate card: it refuses the workspace
    with pytest.raises(Rejected, match="Rate card is invalid"):
        activation.create_in_psa(firm.store, firm.config, firm.psa, firm.erp, firm.crm, **run)
    assert [p["state"] for p in firm.erp.projects.values()] == ["closed"]
    assert states(firm) == {run["engagement_id"]: "compensated"}
    assert [e["rule"] for e in firm.exceptions()] == ["activation"]
    assert statuses(firm) == ["activation failed"]


def test_an_answer_that_proves_nothing_compensates_nothing_and_is_told_when_it_is_given_up(
    firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    firm.win()
    (run,) = firm.sync()["start"]
    activation.check(firm.store, firm.config, **run)
    activation.create_in_erp(firm.store, firm.config, firm.erp, **run)
    hasty = {"lease_s": 0.3, "deadline_s": 0.1, "late_landing_s": 0.05, "search_lag_s": 0, "max_attempts": 2}
    firm.psa.profile = VendorProfile(**(firm.psa.profile.model_dump() | hasty))
    honest = Transport._send
    walled = {"status": 403, "body": b"<html>your network is not allowed</html>"}

    def firewall(self: Transport, method: str, path: str, **request: Any) -> Any:
        reply = honest(self, method, path, **request)
        return dataclasses.replace(reply, **walled) if method == "POST" else reply

    monkeypatch.setattr(Transport, "_send", firewall)
    monkeypatch.setattr("psflow.systems.kantata.client.Kantata.find", lambda *_: None)  # as if it were invisible
    with pytest.raises(NeedsReview, match="given up; at last: .*403: your network is not allowed"):
        activation.create_in_psa(firm.store, firm.config, firm.psa, firm.erp, firm.crm, **run)
    assert [p["state"] for p in firm.erp.projects.values()] == ["open"]
    assert states(firm) == {run["engagement_id"]: "activating"}
    assert [e["rule"] for e in firm.exceptions()] == ["effect"]


def test_a_compensated_deal_is_over_and_its_next_epoch_gets_projects_of_its_own(firm: Firm) -> None:
    firm.win()
    (run,) = firm.sync()["start"]
    engagement = run["engagement_id"]
    activation.check(firm.store, firm.config, **run)
    activation.create_in_erp(firm.store, firm.config, firm.erp, **run)
    cards = firm.kantata.control("state")["records"]["rate_cards"]
    firm.kantata.control("reset")
    with pytest.raises(Rejected):
        activation.create_in_psa(firm.store, firm.config, firm.psa, firm.erp, firm.crm, **run)
    firm.kantata.load(CARDS)  # somebody put the rate card back
    assert cards == 1
    for step in (activation.check, firm.activate):
        args = (firm.store, firm.config) if step is activation.check else ()
        with pytest.raises(NeedsReview, match="trigger epoch 2"):
            step(*args, **run)
    firm.activate(engagement, 2)
    rows = firm.store.rows("select epoch, state from ops.workflow order by epoch")
    assert [(r["epoch"], r["state"]) for r in rows] == [(1, "compensated"), (2, "active")]
    assert [p["state"] for p in firm.erp.projects.values()] == ["closed", "open"]
    assert firm.sync()["start"] == [] and workspaces(firm) == 1 and firm.exceptions() == []
    firm.log(1)
    assert firm.load_time() == {"passed": 1, "held": 0}


def test_an_epoch_nobody_opened_is_refused(firm: Firm) -> None:
    firm.win()
    (run,) = firm.sync()["start"]
    with pytest.raises(NeedsReview, match="its epoch is 1"):
        activation.check(firm.store, firm.config, run["engagement_id"], 2)
    with pytest.raises(NeedsReview, match="is won: nothing is created"):
        activation.create_in_erp(firm.store, firm.config, firm.erp, **run)


def test_what_was_refused_is_sent_again_when_somebody_runs_it_again(firm: Firm) -> None:
    refusals = iter([True])

    def refuse(when: str, capability: str) -> None:
        if (when, capability) == ("before", "create_project") and next(refusals, False):
            raise Rejected("no chart of accounts")

    firm.erp.fail = refuse
    firm.win()
    (run,) = firm.sync()["start"]
    with pytest.raises(Rejected, match="no chart of accounts"):
        firm.activate(**run)
    assert [e["rule"] for e in firm.exceptions()] == ["effect"]
    firm.activate(**run)
    assert states(firm) == {run["engagement_id"]: "active"} and firm.exceptions() == []
    assert len(firm.erp.projects) == 1


def test_what_was_refused_is_sent_again_as_the_deal_says_now(firm: Firm) -> None:
    refusals = iter([True])

    def refuse(when: str, capability: str) -> None:
        if (when, capability) == ("before", "create_project") and next(refusals, False):
            raise Rejected("the name is too long")

    firm.erp.fail = refuse
    firm.win(Name="A name that is too long")
    (run,) = firm.sync()["start"]
    with pytest.raises(Rejected, match="too long"):
        firm.activate(**run)
    firm.win(Name="Short", Start_Date__c="2026-10-20")
    firm.sync()
    firm.activate(**run)
    (made,) = firm.erp.projects.values()
    assert (made["name"], made["starts_on"]) == ("Short", "2026-10-20")


def test_terms_that_may_be_in_a_system_do_not_change(firm: Firm) -> None:
    firm.start(Name="First")
    engagement = next(iter(states(firm)))
    firm.win(Name="Second")
    firm.sync()
    firm.activate(engagement)
    assert firm.store.value("select name from core.project") == "First"


def test_the_next_epoch_has_the_terms_of_the_deal_as_it_is_judged_now(firm: Firm) -> None:
    firm.win()
    (run,) = firm.sync()["start"]
    activation.check(firm.store, firm.config, **run)
    activation.create_in_erp(firm.store, firm.config, firm.erp, **run)
    firm.kantata.control("reset")
    with pytest.raises(Rejected):
        activation.create_in_psa(firm.store, firm.config, firm.psa, firm.erp, firm.crm, **run)
    firm.kantata.load({**CARDS, **GOLD})
    firm.win(Rate_Card__c="Gold", Name="Renamed", Start_Date__c="2026-10-20")
    firm.sync()
    firm.activate(run["engagement_id"], 2)
    assert firm.store.value("select rate_card_id from core.contract") == "6"
    project = firm.store.row("select name, rate_card_id, starts_on::text as starts_on from core.project")
    assert project == {"name": "Renamed", "rate_card_id": "6", "starts_on": "2026-10-20"}
    assert [p["name"] for p in firm.erp.projects.values()] == ["Rollout 1", "Renamed"]


def test_what_was_given_up_is_looked_up_before_it_is_sent_again(firm: Firm) -> None:
    engagement = firm.start()
    firm.store.run("update ops.effect set state = 'dead', external_id = null where capability = 'update_opportunity'")
    firm.store.run("update ops.workflow set state = 'activating'")
    writes = firm.salesforce.state()["writes"]
    firm.activate(engagement)
    assert firm.salesforce.state()["writes"] == writes  # it had landed
    assert states(firm) == {engagement: "active"}


def test_what_may_have_landed_is_never_compensated(firm: Firm) -> None:
    firm.win()
    (run,) = firm.sync()["start"]
    activation.check(firm.store, firm.config, **run)
    activation.create_in_erp(firm.store, firm.config, firm.erp, **run)
    twins = (
        {"id": "1", "title": "a", "external_reference_ids": ["1"]},
        {"id": "2", "title": "b", "external_reference_ids": ["2"]},
    )
    key = f"kantata:create_project:{run['engagement_id']}.1"
    references = [
        {
            "id": n,
            "subject_type": "Workspace",
            "subject_id": n,
            "service_name": "psflow",
            "service_model": "Engagement",
            "service_model_ref": key,
            "updated_at": "2026-10-01T00:00:00Z",
        }
        for n in ("1", "2")
    ]
    firm.kantata.load({"workspaces": twins, "external_references": references})
    firm.kantata.arm("POST /api/v1/workspaces", "e503_before")
    with pytest.raises(NeedsReview, match="keep one"):
        activation.create_in_psa(firm.store, firm.config, firm.psa, firm.erp, firm.crm, **run)
    assert [p["state"] for p in firm.erp.projects.values()] == ["open"]
    assert states(firm) == {run["engagement_id"]: "activating"}


def open_failures(firm: Firm) -> list[tuple[str, str, str]]:
    return [(e["record_id"], e["field"], e["message"]) for e in firm.exceptions() if e["entity"] == "activation"]


def test_a_run_that_ends_by_an_error_nobody_is_told_of_is_told_until_the_deal_is_active(firm: Firm) -> None:
    firm.win()
    (run,) = firm.sync()["start"]
    name = f"{run['engagement_id']}.1"
    for error in (TransientError("kantata: 1 effect is still open\nand so on"), ValueError("Ann Lee, 5 Main St")):
        activation_failed(firm.store, firm.config, **run, step="create_in_psa", error=error)
        (told,) = open_failures(firm)
        assert told[:2] == (name, "create_in_psa") and "Ann" not in told[2] and "and so on" not in told[2]
    assert told[2] == "create_in_psa ended: ValueError, see its log"
    firm.activate(**run)
    assert firm.exceptions() == []


def test_a_run_whose_reason_somebody_has_is_not_told_twice(firm: Firm) -> None:
    firm.win(Legal_Entity__c="Meridian Mars")
    (run,) = firm.sync()["start"]
    with pytest.raises(GateFailed) as caught:
        activation.check(firm.store, firm.config, **run)
    activation_failed(firm.store, firm.config, **run, step="gates", error=caught.value)
    assert [e["rule"] for e in firm.exceptions()] == ["legal_entity"]


def test_a_deal_stranded_by_an_outage_is_started_again(firm: Firm) -> None:
    firm.win()
    (run,) = firm.sync()["start"]
    activation.check(firm.store, firm.config, **run)
    assert firm.sync()["restart"] == []
    firm.store.run("update ops.workflow set changed_at = clock_timestamp() - interval '2 hours'")
    assert firm.sync()["restart"] == [run]


def test_a_compensation_that_died_is_finished_before_anything_else(firm: Firm) -> None:
    firm.win()
    (run,) = firm.sync()["start"]
    activation.check(firm.store, firm.config, **run)
    activation.create_in_erp(firm.store, firm.config, firm.erp, **run)
    firm.kantata.control("reset")
    with pytest.raises(Rejected):
        activation.create_in_psa(firm.store, firm.config, firm.psa, firm.erp, firm.crm, **run)
    code = f"P-{run['engagement_id'][2:]}"
    firm.store.run("update ops.workflow set state = 'activating'")  # as if it had died before the last commit
    firm.store.run("update ops.crosswalk set entity_id = %(code)s where entity_id = %(code)s || '.1'", code=code)
    firm.kantata.load(CARDS)
    with pytest.raises(Rejected, match="is compensated"):
        activation.create_in_psa(firm.store, firm.config, firm.psa, firm.erp, firm.crm, **run)
    assert states(firm) == {run["engagement_id"]: "compensated"} and workspaces(firm) == 0
