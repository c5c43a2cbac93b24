"""What changed at CRM and PSA comes in whole; what cannot be taken goes to a person, and the rest goes on."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from psflow.errors import GateFailed, NeedsReview
from psflow.flows import activation
from psflow.store import matches
from psflow.store.connection import Store
from psflow.systems.salesforce.client import Salesforce
from tests.database import REGION
from tests.flows.conftest import CARDS, Firm

LOST = {"IsWon": False, "StageName": "Closed Lost"}


def deals(firm: Firm) -> list[tuple[str, str]]:
    """Open exceptions about deals: (field, message)."""
    return [(e["field"], e["message"]) for e in firm.exceptions("record") if e["entity"] == "deal"]


# -- deals


def test_a_deal_that_is_lost_before_its_run_is_not_started(firm: Firm) -> None:
    firm.win()
    (run,) = firm.sync()["start"]
    firm.win(**LOST)
    assert firm.sync()["start"] == []
    with pytest.raises(NeedsReview, match="is not won"):
        activation.check(firm.store, firm.config, **run)
    firm.win()
    assert firm.sync()["start"] == [run]


def test_a_blocked_deal_that_is_corrected_and_lost_is_not_started_again(firm: Firm) -> None:
    firm.win(Legal_Entity__c="Meridian Mars")
    (run,) = firm.sync()["start"]
    with pytest.raises(GateFailed):
        activation.check(firm.store, firm.config, **run)
    firm.win(**LOST)
    assert firm.sync()["restart"] == []


def test_a_deal_lost_while_it_is_activated_goes_to_a_person_and_no_further(firm: Firm) -> None:
    firm.win()
    (run,) = firm.sync()["start"]
    activation.check(firm.store, firm.config, **run)
    firm.store.run("update ops.workflow set changed_at = clock_timestamp() - interval '2 hours'")
    firm.win(**LOST)
    assert firm.sync()["restart"] == []
    engagement = run["engagement_id"]
    why = "its deal is no longer won: its projects are being closed; won again, it gets new ones"
    told = f"{engagement} is activating, but {why}"
    assert deals(firm) == [("is_won", told)]
    firm.win()
    assert firm.sync()["restart"] == [run] and deals(firm) == []


def test_a_won_deal_whose_account_we_cannot_see_goes_to_a_person_until_we_can(firm: Firm) -> None:
    firm.win(AccountId="001000000000009")
    assert firm.sync()["start"] == []
    ((field, message),) = deals(firm)
    assert field == "account_id" and "001000000000009AAA is not visible" in message
    firm.sync()
    assert len(deals(firm)) == 1
    firm.salesforce.load({"Account": [{"Id": "001000000000009", "Name": "Hidden", "AccountNumber": "9"}]})
    assert len(firm.sync()["start"]) == 1 and deals(firm) == []


# -- customers


def account(firm: Firm, **fields: Any) -> None:
    firm.salesforce.load({"Account": [{"Id": "001000000000002", "Name": "Beta"} | fields]})


def test_an_account_that_gets_its_number_later_stays_the_same_customer(firm: Firm) -> None:
    account(firm)
    firm.sync()
    account(firm, AccountNumber="88", Name="Beta Ltd")
    firm.sync()
    assert firm.exceptions() == []
    found = firm.store.rows("select customer_id, name from core.customer where name like 'Beta%%'")
    assert found == [{"customer_id": "C-001000000000002AAA", "name": "Beta Ltd"}]


def test_a_number_that_another_account_has_goes_to_a_person(firm: Firm) -> None:
    account(firm, AccountNumber="77")  # as Acme
    firm.sync()
    (found,) = firm.exceptions("record")
    assert "two records of customer C-77 with one exact key" in found["message"]
    assert firm.store.value("select name from core.customer where customer_id = 'C-77'") == "Acme"


# -- records the database cannot hold


def test_a_deal_the_database_cannot_hold_stops_no_other(firm: Firm) -> None:
    firm.win(1, Name="A\0B")
    firm.win(2)
    assert len(firm.sync()["start"]) == 1
    (found,) = firm.exceptions("record")
    assert (found["entity"], found["record_id"]) == ("opportunity", "006000000000001AAA")
    assert "NUL" in found["message"]
    firm.win(1)
    assert len(firm.sync()["start"]) == 2 and firm.exceptions() == []


def test_two_prices_for_one_day_stop_that_card_only(firm: Firm) -> None:
    twins = [
        {"id": n, "rate_card_set_id": "2", "active": True, "effective_date": "2026-01-01"} for n in ("13", "14")
    ]  # fmt: skip
    gold: dict[str, list[dict[str, Any]]] = {
        "rate_card_sets": [{"id": "2", "title": "Gold", "rate_card_ids": ["6"]}],
        "rate_card_set_versions": twins,
        "rate_cards": [{"id": "6", "currency": "USD", "rate_card_set_id": "2", "rate_card_version_ids": ["23", "24"]}],
        "rate_card_versions": [
            {"id": "23", "rate_card_id": "6", "rate_card_set_version_id": "13", "default_rate": 30000},
            {"id": "24", "rate_card_id": "6", "rate_card_set_version_id": "14", "default_rate": 40000},
        ],
    }
    firm.kantata.load({kind: [*rows, *gold.get(kind, [])] for kind, rows in CARDS.items()})
    firm.sync()
    (found,) = firm.exceptions("record")
    assert (found["entity"], found["record_id"]) == ("rate_card", "6")
    assert "versions 13 and 14 both start on 2026-01-01" in found["message"]
    assert firm.store.rows("select rate_card_id from core.rate_card") == [{"rate_card_id": "5"}]


# -- where a stream was read to


def test_a_stamp_from_the_future_hides_nothing_that_changes_after_it(firm: Firm) -> None:
    now = dt.datetime.now(dt.UTC)
    firm.win(1, SystemModstamp=(now + dt.timedelta(days=400)).isoformat())
    firm.sync()
    firm.win(2, SystemModstamp=now.isoformat())
    assert len(firm.sync()["start"]) == 2
    firm.win(1, Name="Corrected", SystemModstamp=(now + dt.timedelta(seconds=1)).isoformat())
    firm.sync()
    assert firm.store.value("select name from core.opportunity order by opportunity_id") == "Corrected"
    assert firm.store.value("select count(*) from ops.watermark where read_to > clock_timestamp()") == 0


def test_a_read_begins_again_a_little_before_where_the_last_one_ended(firm: Firm) -> None:
    stamp = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    firm.win(1, SystemModstamp=stamp.isoformat())
    firm.sync()
    firm.win(2, SystemModstamp=(stamp - dt.timedelta(minutes=9)).isoformat())
    firm.win(3, SystemModstamp=(stamp - dt.timedelta(minutes=11)).isoformat())
    assert len(firm.sync()["start"]) == 2


# -- delivery


def test_tasks_and_milestones_come_in_once_and_follow_their_changes(firm: Firm) -> None:
    story = {"id": "1", "workspace_id": "9", "title": "Design", "story_type": "task", "state": "not started",
             "billable": True, "updated_at": "2026-10-01T08:00:00Z"}  # fmt: skip
    due = story | {"id": "2", "title": "Go live", "story_type": "milestone", "due_date": "2026-12-01"}
    firm.kantata.load({"stories": [story, due]})
    firm.sync()
    firm.kantata.load({"stories": [story | {"state": "completed", "updated_at": "2026-10-02T08:00:00Z"}]})
    firm.sync()
    tasks = firm.store.rows("select title, is_done, is_billable from core.task")
    assert tasks == [{"title": "Design", "is_done": True, "is_billable": True}]
    milestones = firm.store.rows("select title, due_on, is_done from core.milestone")
    assert milestones == [{"title": "Go live", "due_on": dt.date(2026, 12, 1), "is_done": False}]


# -- two spellings of one customer


def test_a_second_spelling_of_a_customer_waits_for_a_person_and_its_deals_follow_the_decision(firm: Firm) -> None:
    firm.sync()
    firm.salesforce.load({"Account": [{"Id": "001000000000002", "Name": "ACME Inc.", "AccountNumber": "78"}]})
    firm.win(AccountId="001000000000002")
    assert firm.sync()["start"] == []
    (asked,) = firm.exceptions("match")
    assert "looks like C-77" in asked["message"]
    with firm.store.transaction("test"):
        matches.decide(firm.store, "customer", "salesforce", "001000000000002AAA", "C-77", "same", "P-201")
    firm.salesforce.load(
        {"Account": [{"Id": "001000000000002", "Name": "ACME Inc.", "AccountNumber": "78", "BillingCity": "X"}]}
    )
    assert len(firm.sync()["start"]) == 1
    assert firm.exceptions("match") == []
    assert firm.store.rows("select customer_id, name from core.customer") == [{"customer_id": "C-77", "name": "Acme"}]
    assert firm.store.value("select customer_id from core.engagement") == "C-77"


def test_a_customer_that_only_looked_alike_is_read_again_and_becomes_one_of_its_own(firm: Firm) -> None:
    firm.sync()
    firm.salesforce.load({"Account": [{"Id": "001000000000002", "Name": "ACME Inc.", "AccountNumber": "78"}]})
    firm.sync()
    with firm.store.transaction("test"):
        matches.decide(firm.store, "customer", "salesforce", "001000000000002AAA", "C-77", "different", "P-201")
    firm.sync()
    assert firm.store.rows("select customer_id from core.customer order by 1") == [
        {"customer_id": "C-77"}, {"customer_id": "C-78"},
    ]  # fmt: skip
    assert firm.exceptions("match") == []


def test_what_a_person_says_while_the_accounts_are_read_counts_in_the_next_read(
    firm: Firm, app_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago, now = dt.datetime.now(dt.UTC) - dt.timedelta(days=1), dt.datetime.now(dt.UTC)
    firm.sync()
    alike = {"Id": "001000000000002", "Name": "ACME Inc.", "AccountNumber": "78"}
    firm.salesforce.load({"Account": [alike | {"SystemModstamp": long_ago.isoformat()}]})
    firm.store.run("update ops.watermark set read_to = read_to - interval '2 days'")
    firm.sync()
    other = {"Id": "001000000000003", "Name": "Initech", "AccountNumber": "79", "SystemModstamp": now.isoformat()}
    firm.salesforce.load({"Account": [other]})
    honest = Salesforce.customers

    def customers(self: Salesforce, since: dt.datetime | None) -> Any:
        for page in honest(self, since):
            with Store.open(app_url, REGION) as pmo, pmo.transaction("test"):
                matches.decide(pmo, "customer", "salesforce", "001000000000002AAA", "C-77", "different", "P-201")
            yield page

    with monkeypatch.context() as reading:
        reading.setattr(Salesforce, "customers", customers)
        firm.sync()
    firm.sync()
    assert firm.exceptions("match") == []
    assert firm.store.value("select count(*) from core.customer") == 3
