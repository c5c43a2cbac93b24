"""Every approved hour is billed exactly once, after its gate and two people, to the cent."""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from psflow.errors import GateFailed, Rejected, UncertainOutcome
from psflow.flows import billing, billing_posting, reconciliation
from psflow.gates.suite import ExpectationGate, FailingRow, Verdict
from psflow.store.connection import Store, sql
from tests.database import REGION
from tests.flows.conftest import Firm, PassGate, policy_period

NUMBERS = itertools.count(1)


def charges(firm: Firm) -> list[tuple[str, int, Decimal]]:
    rows = firm.store.rows("select charge_id, minutes, amount from billing.charge order by charge_id")
    return [(r["charge_id"], r["minutes"], r["amount"]) for r in rows]


def posted(firm: Firm) -> Decimal:
    lines = (line for d in firm.erp.documents.values() if d["state"] == "posted" for line in d["lines"])
    return sum((Decimal(line["amount"]) for line in lines), Decimal())


def tied(firm: Firm) -> dict[str, int]:
    reconciliation.read_erp(firm.store, firm.erp)
    return reconciliation.tie_out(firm.store, firm.config)


@pytest.fixture
def working(firm: Firm) -> Firm:
    """A firm with one active project."""
    firm.start()
    return firm


def test_hours_become_a_posted_invoice_at_the_rate_of_their_work_date(working: Firm) -> None:
    working.log(1, 90, date_performed="2026-10-15")
    working.log(2, 90, date_performed="2026-10-16")
    working.load_time()
    working.bill()
    assert charges(working) == [("1.1", 90, Decimal("270.750")), ("2.1", 90, Decimal("300.000"))]
    (document,) = working.erp.documents.values()
    assert document["state"] == "posted" and posted(working) == Decimal("570.75")
    assert [(line["hours"], line["hourly_rate"]) for line in document["lines"]] == [
        ("1.5000", "180.5000"),
        ("1.5000", "200.0000"),
    ]
    assert tied(working) == {"comparisons": 2 + 2 + 2 + 3 + 2, "breaks": 0}


def test_three_times_twenty_minutes_is_one_hour_and_no_cent_is_lost(working: Firm) -> None:
    for number in (1, 2, 3):
        working.log(number, 20, date_performed="2026-10-20")
    working.load_time()
    working.bill()
    (document,) = working.erp.documents.values()
    assert [(line["hours"], line["amount"]) for line in document["lines"]] == [("1.0000", "200.010")]
    assert [amount for _, _, amount in charges(working)] == [Decimal("66.670")] * 3
    assert tied(working)["breaks"] == 0


def test_nothing_new_makes_no_batch(working: Firm) -> None:
    working.log(1)
    working.load_time()
    working.bill()
    assert working.freeze() is None
    assert working.store.value("select count(*) from billing.batch") == 1


@pytest.mark.parametrize("fields", [{"approved": False}, {"billable": False}, {"date_performed": "2026-11-01"}])
def test_hours_that_are_not_to_be_billed_are_not(working: Firm, fields: dict[str, Any]) -> None:
    working.log(1, **fields)
    working.load_time()
    assert working.freeze() is None


def test_an_hour_without_a_rate_is_an_exception_and_never_a_zero(working: Firm) -> None:
    working.log(1, role_id="1")
    working.log(2)
    working.load_time()
    working.bill()
    assert [c[0] for c in charges(working)] == ["2.1"]
    (found,) = working.exceptions("rate")
    assert (found["record_id"], found["value"]) == ("1", "Partner")
    assert tied(working)["breaks"] == 0  # an hour with an exception is not a lost hour
    rate = {"id": "33", "rate_card_version_id": "21", "role_id": "1", "rate": 40000}
    working.kantata.load({"rate_card_roles": [rate]})
    working.sync()
    working.bill()
    assert [c[0] for c in charges(working)] == ["1.1", "2.1"] and working.exceptions("rate") == []


def test_two_roles_of_one_name_with_two_prices_leave_the_card_as_it_was(working: Firm) -> None:
    working.kantata.load(
        {
            "roles": [{"id": "9", "name": "Consultant"}],
            "rate_card_roles": [{"id": "39", "rate_card_version_id": "21", "role_id": "9", "rate": 9000}],
        }
    )
    working.sync()
    (found,) = working.exceptions("record")
    assert (found["entity"], found["record_id"]) == ("rate_card", "5")
    assert "two roles are called 'Consultant' and cost 180.50 and 90.00 from 2026-01-01" in found["message"]
    working.log(1)
    working.load_time()
    working.bill()
    assert posted(working) == Decimal("180.50")
    working.kantata.load(
        {"rate_card_roles": [{"id": "39", "rate_card_version_id": "21", "role_id": "9", "rate": 18050}]}
    )
    working.sync()
    assert working.exceptions() == []


def test_a_card_that_a_complete_read_did_not_have_prices_nothing_and_an_empty_read_is_not_believed(
    working: Firm,
) -> None:
    working.log(1)
    working.load_time()
    for seen, left in (([], 2), (["5"], 2), (["6"], 0)):
        with working.store.transaction("test"):
            working.store.run(sql("warehouse.sync", "withdrawn_rates"), cards=seen)
        assert working.store.value("select count(*) from core.rate") == left
    assert working.freeze() is None and [e["record_id"] for e in working.exceptions("rate")] == ["1"]


def test_an_edit_after_invoicing_is_reversed_and_billed_again_at_the_price_it_had(working: Firm) -> None:
    working.log(1, 60)
    working.log(2, 60)
    working.load_time()
    working.bill()
    working.kantata.load(
        {"rate_card_roles": [{"id": "31", "rate_card_version_id": "21", "role_id": "2", "rate": 99900}]}
    )
    working.sync()
    working.log(1, 120, updated_at="2026-11-02T00:00:00Z")
    working.load_time()
    working.bill()
    assert charges(working) == [
        ("1.1", 60, Decimal("180.500")), ("1.1.R", -60, Decimal("-180.500")), ("1.2", 120, Decimal("361.000")),
        ("2.1", 60, Decimal("180.500")),
    ]  # fmt: skip
    assert posted(working) == Decimal("541.50") and tied(working)["breaks"] == 0


def test_a_credit_waits_as_an_exception_until_hours_exceed_it(working: Firm) -> None:
    working.log(1, 60)
    working.load_time()
    working.bill()
    working.log(1, 60, approved=False, updated_at="2026-11-02T00:00:00Z")
    working.load_time()
    assert working.freeze() is None
    (found,) = working.exceptions("billing")
    assert (found["record_id"], found["value"]) == ("P-1001", "-180.50")
    working.log(2, 120, updated_at="2026-11-03T00:00:00Z")
    working.load_time()
    working.bill()
    assert posted(working) == Decimal("361.00") and working.exceptions("billing") == []
    assert tied(working)["breaks"] == 0


def test_a_batch_nobody_approved_posts_nothing(working: Firm) -> None:
    working.log(1)
    working.load_time()
    batch = working.freeze()
    assert batch
    billing.check(working.store, working.config, PassGate(), batch)
    with pytest.raises(GateFailed, match="checked, not approved"):
        billing_posting.release(working.store, working.config, working.erp, batch)
    assert working.erp.documents == {}


def test_the_preparer_may_not_approve_and_a_stranger_may_do_neither(working: Firm, config: Any) -> None:
    working.log(1)
    working.load_time()
    batch = working.freeze()
    assert batch
    shown = str(billing.check(working.store, working.config, PassGate(), batch)["content_hash"])
    with pytest.raises(GateFailed, match="paula may not submit"):
        working.decide(batch, "submit", "paula", shown)
    two_hats = [p.model_copy(update={"may": ("submit", "approve")}) for p in config.people]
    working.config = config.model_copy(update={"people": tuple(two_hats)})
    working.decide(batch, "submit", "fiona", shown)
    with pytest.raises(GateFailed, match="may not both submit and approve"):
        working.decide(batch, "approve", "fiona", shown)
    working.decide(batch, "approve", "frank", shown)


def test_two_logins_of_one_person_are_one_person(working: Firm, config: Any) -> None:
    working.log(1)
    working.load_time()
    alias = config.people[0].model_copy(update={"airflow_user": "fiona2", "may": ("approve",)})
    working.config = config.model_copy(update={"people": (*config.people, alias)})
    batch = working.freeze()
    assert batch
    shown = str(billing.check(working.store, working.config, PassGate(), batch)["content_hash"])
    working.decide(batch, "submit", "fiona", shown)
    with pytest.raises(GateFailed, match="P-101 may not both"):
        working.decide(batch, "approve", "fiona2", shown)


def test_a_reject_ends_the_batch_and_the_next_one_holds_everything(working: Firm) -> None:
    working.log(1)
    working.load_time()
    batch = working.freeze()
    assert batch
    shown = str(billing.check(working.store, working.config, PassGate(), batch)["content_hash"])
    working.decide(batch, "submit", "fiona", shown)
    with pytest.raises(GateFailed, match="rejected by frank"):
        working.decide(batch, "approve", "frank", shown, approved=False)
    assert billing.find(working.store, batch)["state"] == "rejected"
    with pytest.raises(GateFailed):
        billing_posting.release(working.store, working.config, working.erp, batch)
    assert working.bill() == "MER-US.2026-10.2"
    assert posted(working) == Decimal("180.50")


def test_an_approval_of_another_content_is_refused(working: Firm) -> None:
    working.log(1)
    working.load_time()
    batch = working.freeze()
    assert batch
    billing.check(working.store, working.config, PassGate(), batch)
    with pytest.raises(GateFailed, match="changed: its hash is not the one that was shown"):
        working.decide(batch, "submit", "fiona", "0" * 64)


def test_data_that_changed_since_posts_nothing(working: Firm) -> None:
    working.log(1, 60)
    working.load_time()
    batch = working.approve()
    working.log(1, 90, updated_at="2026-11-02T00:00:00Z")
    working.load_time()
    with pytest.raises(GateFailed, match="stale: 1 lines changed"):
        working.post(batch)
    assert working.erp.documents == {} and charges(working) == []
    working.bill()
    assert posted(working) == Decimal("270.75")


def test_a_line_slipped_in_after_the_approval_posts_nothing(working: Firm, admin_url: str) -> None:
    working.log(1)
    working.load_time()
    batch = working.approve()
    with psycopg.connect(admin_url) as owner:
        owner.execute(
            "insert into billing.batch_line select batch_id, '9.1', kind, '9', 1, project_code, worked_on, role, "
            "minutes, hourly_rate, amount, currency from billing.batch_line"
        )
    with pytest.raises(GateFailed):
        working.post(batch)
    assert working.erp.documents == {}


class Changing:
    """A gate during which somebody writes into the frozen batch."""

    def __init__(self, admin_url: str) -> None:
        self.admin_url = admin_url

    def run(self, suite: str, batch_id: str) -> Verdict:
        with psycopg.connect(self.admin_url) as owner:
            owner.execute("update billing.batch_line set amount = amount + 1")
        return Verdict(1, 5, ())


class Crash:
    def run(self, suite: str, batch_id: str) -> Verdict:
        raise RuntimeError("out of memory")


def test_a_gate_that_crashed_or_looked_at_moving_data_ends_the_batch(working: Firm, admin_url: str) -> None:
    working.log(1)
    working.load_time()
    for gate in (Crash(), Changing(admin_url)):
        batch = working.freeze()
        assert batch
        with pytest.raises(GateFailed):
            billing.check(working.store, working.config, gate, batch)
        assert billing.find(working.store, batch)["state"] == "failed"
    working.bill()
    assert posted(working) == Decimal("180.50")


def test_a_failing_line_is_held_with_all_of_its_entry_and_the_rest_is_billed(
    working: Firm, real_gate: ExpectationGate
) -> None:
    cheap = {"id": "34", "rate_card_version_id": "21", "role_id": "1", "rate": 100}
    working.kantata.load({"rate_card_roles": [cheap]})
    working.sync()
    working.log(1, 60)
    working.log(2, 60, role_id="1")
    working.load_time()
    batch = working.approve(real_gate)
    working.post(batch)
    assert [c[0] for c in charges(working)] == ["1.1"]
    (found,) = working.exceptions("billing")
    assert (found["record_id"], found["field"], found["value"]) == ("2", "hourly_rate", "1.0000")
    assert tied(working)["breaks"] == 0


def test_a_refused_draft_is_tried_again_by_the_next_run_of_billing(working: Firm) -> None:
    refusals = iter([True])

    def refuse(when: str, capability: str) -> None:
        if (when, capability) == ("before", "draft_invoice") and next(refusals, False):
            raise Rejected("the fiscal year is closed")

    working.erp.fail = refuse
    working.log(1)
    working.load_time()
    batch = working.approve()
    with pytest.raises(Rejected, match="0 of 1 invoices are posted"):
        working.post(batch)
    assert [e["rule"] for e in working.exceptions()] == ["effect"]
    assert working.freeze() == batch  # what was approved is finished first
    assert working.post(batch) == {"posted": 1} and working.exceptions() == []
    assert posted(working) == Decimal("180.50")


def test_a_project_that_sinks_below_zero_without_its_held_hours_waits_whole(working: Firm) -> None:
    working.log(1, 120)
    working.load_time()
    working.bill()
    working.log(1, 60, updated_at="2026-11-02T00:00:00Z")
    working.log(2, 180, updated_at="2026-11-02T00:00:00Z")
    working.load_time()
    batch = working.freeze()
    assert batch
    with pytest.raises(GateFailed, match="nothing is left"):
        billing.check(working.store, working.config, PassGate(3, (FailingRow("2", "x", "y", "BB-9", "no"),)), batch)
    assert [(e["entity"], e["record_id"]) for e in working.exceptions("billing")] == [
        ("time_entry", "2"),
        ("project", "P-1001"),
    ]
    assert tied(working)["breaks"] == 0  # held hours are told, not lost
    working.bill()  # the gate lets it pass now
    assert posted(working) == Decimal("361.00") + Decimal("361.00")
    assert working.exceptions() == [] and tied(working)["breaks"] == 0


def test_an_earlier_month_billed_later_takes_nothing_back(working: Firm) -> None:
    working.log(1, 60, date_performed="2026-11-03")
    working.load_time()
    working.bill("2026-11")
    assert working.freeze("2026-10") is None and working.exceptions() == []
    working.log(2, 60, updated_at="2026-11-30T00:00:00Z")  # October's late hour
    working.load_time()
    working.bill("2026-10")
    assert [c[0] for c in charges(working)] == ["1.1", "2.1"]
    assert posted(working) == Decimal("200.00") + Decimal("180.50")
    assert working.freeze("2026-11") is None and tied(working)["breaks"] == 0


def test_a_draft_edited_after_it_was_read_back_is_not_posted(working: Firm) -> None:
    working.log(1)
    working.load_time()
    batch = working.approve()
    run = (working.store, working.config, working.erp, batch)
    billing_posting.release(*run)
    billing_posting.draft(*run)
    assert billing_posting.read_back(*run)["agree"] == 1
    working.erp.documents["1"]["lines"][0]["amount"] = "999.00"
    with pytest.raises(Rejected, match="0 of 1 invoices"):
        billing_posting.post(*run)
    assert working.erp.documents["1"]["state"] == "draft" and len(working.exceptions("billing")) == 3
    working.erp.documents["1"]["lines"][0]["amount"] = "180.500"
    assert billing_posting.post(*run) == {"posted": 1} and working.exceptions() == []


def test_an_hour_that_moved_to_another_project_is_billed_once(working: Firm) -> None:
    working.start(2)
    working.log(1, 60)
    working.load_time()
    working.bill()
    working.log(1, 60, workspace_id="2", updated_at="2026-11-02T00:00:00Z")
    working.load_time()
    assert working.freeze() is None  # its reversal would be a credit, so its charge waits with it
    assert [e["record_id"] for e in working.exceptions("billing")] == ["P-1001"]
    working.log(2, 120, updated_at="2026-11-03T00:00:00Z")
    working.load_time()
    working.bill()
    live = working.store.rows("select charge_id, project_code from billing.live_charge order by 1")
    assert [(r["charge_id"], r["project_code"]) for r in live] == [("1.2", "P-1002"), ("2.1", "P-1001")]
    assert posted(working) == 3 * Decimal("180.50") and tied(working)["breaks"] == 0
    assert working.freeze() is None


def test_a_batch_whose_every_line_is_held_ends_there(working: Firm) -> None:
    working.log(1)
    working.load_time()
    batch = working.freeze()
    assert batch
    with pytest.raises(GateFailed, match="nothing is left"):
        billing.check(working.store, working.config, PassGate(1, (FailingRow("1", "x", "y", "BB-9", "no"),)), batch)
    assert billing.find(working.store, batch)["state"] == "failed"


def test_a_closed_period_takes_no_invoice(working: Firm, admin_url: str) -> None:
    working.log(1)
    working.load_time()
    batch = working.approve()
    with psycopg.connect(admin_url) as owner:
        owner.execute("insert into core.period values ('MER-US', '2026-10', now())")
    with pytest.raises(GateFailed, match="period 2026-10 of MER-US is closed"):
        working.post(batch)
    assert charges(working) == []


def test_posting_again_changes_nothing(working: Firm) -> None:
    working.log(1)
    working.load_time()
    batch = working.bill()
    calls = list(working.erp.calls)
    assert working.post(batch) == {"posted": 1}
    assert working.erp.calls == calls


def test_a_lost_answer_on_the_draft_ends_with_one_document(working: Firm) -> None:
    working.log(1)
    working.load_time()
    lost = iter([True])

    def drop(when: str, capability: str) -> None:
        if (when, capability) == ("after", "draft_invoice") and next(lost, False):
            raise UncertainOutcome("time-out")

    working.erp.fail = drop
    working.bill()
    assert len(working.erp.documents) == 1 and posted(working) == Decimal("180.50")


def test_a_stray_draft_under_our_reference_is_cancelled_not_posted(working: Firm) -> None:
    working.log(1)
    working.load_time()
    batch = working.approve()
    run = (working.store, working.config, working.erp, batch)
    billing_posting.release(*run)
    billing_posting.draft(*run)
    working.erp.documents["99"] = dict(working.erp.documents["1"], key="a late landing")
    assert billing_posting.read_back(*run) == {"agree": 1, "differ": 0, "strays": 1, "void": 0}
    billing_posting.post(*run)
    assert [d["state"] for d in working.erp.documents.values()] == ["posted", "cancelled"]


def test_a_draft_that_says_another_amount_is_not_posted(working: Firm) -> None:
    working.log(1)
    working.load_time()
    batch = working.approve()
    run = (working.store, working.config, working.erp, batch)
    billing_posting.release(*run)
    billing_posting.draft(*run)
    working.erp.documents["1"]["lines"][0]["amount"] = "180.51"
    assert billing_posting.read_back(*run)["differ"] == 1
    with pytest.raises(Rejected, match="0 of 1 invoices"):
        billing_posting.post(*run)
    assert [e["field"] for e in working.exceptions("billing")] == ["amount", "line MER-US.2026-10.1.P-1001.1", "total"]
    assert working.erp.documents["1"]["state"] == "draft"


def test_a_document_changed_in_the_erp_is_a_break_and_an_exception(working: Firm) -> None:
    working.log(1)
    working.load_time()
    working.bill()
    assert tied(working)["breaks"] == 0
    working.erp.documents["1"]["lines"][0]["amount"] = "200.00"
    assert tied(working)["breaks"] == 3  # its line, its total without and with tax
    assert {e["owner_team"] for e in working.exceptions("tie_out")} == {"finance"}
    working.erp.documents["1"]["lines"][0]["amount"] = "180.500"
    assert tied(working)["breaks"] == 0 and working.exceptions("tie_out") == []


def test_equal_totals_with_unequal_records_do_not_tie(working: Firm) -> None:
    working.log(1, 60, date_performed="2026-10-05")
    working.log(2, 60, date_performed="2026-10-20")
    working.load_time()
    working.bill()
    first, second = working.erp.documents["1"]["lines"]
    first["amount"], second["amount"] = second["amount"], first["amount"]
    assert tied(working)["breaks"] == 2


def test_an_hour_that_a_posted_batch_lost_is_a_break(working: Firm, admin_url: str) -> None:
    working.log(1)
    working.log(2)
    working.load_time()
    working.bill()
    assert tied(working)["breaks"] == 0
    with psycopg.connect(admin_url) as owner:
        owner.execute("delete from billing.charge where time_entry_id = '2'")
    assert tied(working)["breaks"] == 2  # the hour without a charge, the line without its charge
    assert {e["record_id"] for e in working.exceptions("tie_out")} >= {"1 hours to charges 2"}


def steps(firm: Firm, batch: str) -> tuple[Any, ...]:
    """An approved batch is released and drafted; return what every step takes."""
    run = (firm.store, firm.config, firm.erp, batch)
    billing_posting.release(*run)
    billing_posting.draft(*run)
    return run


def test_a_draft_cancelled_in_the_erp_is_told_and_its_hours_are_billed_by_the_next_batch(working: Firm) -> None:
    working.log(1)
    working.load_time()
    run = steps(working, working.approve())
    working.erp.documents["1"]["state"] = "cancelled"
    assert billing_posting.read_back(*run) == {"agree": 0, "differ": 0, "strays": 0, "void": 1}
    with pytest.raises(Rejected, match="all its drafts were cancelled"):
        billing_posting.post(*run)
    assert billing.find(working.store, run[-1])["state"] == "failed"
    (found,) = working.exceptions()
    assert found["record_id"] == "MER-US.2026-10.1.P-1001" and "document 1 was cancelled" in found["message"]
    assert tied(working)["breaks"] == 0
    assert working.bill() == "MER-US.2026-10.2" and posted(working) == Decimal("180.50")
    assert [c[0] for c in charges(working)] == ["1.1", "1.1~2"]
    assert [r["charge_id"] for r in working.store.rows("select charge_id from billing.live_charge")] == ["1.1~2"]
    assert working.store.value("select sum(amount) from finance.invoice") == Decimal("180.50")
    assert working.exceptions() == [] and tied(working)["breaks"] == 0 and working.freeze() is None


def test_a_correction_whose_draft_was_cancelled_is_billed_again_and_can_be_corrected_again(working: Firm) -> None:
    working.log(1, 60)
    working.load_time()
    working.bill()
    for minutes, cancelled in ((120, True), (120, False), (180, False)):
        working.log(1, minutes, updated_at="2026-11-02T00:00:00Z")
        working.load_time()
        run = steps(working, working.approve())
        if cancelled:
            working.erp.documents["2"]["state"] = "cancelled"
            with pytest.raises(Rejected):
                billing_posting.post(*run)
        else:
            working.post(run[-1])
    assert [c[0] for c in charges(working)] == [
        "1.1", "1.1.R", "1.1.R~2", "1.2", "1.2~2", "1.2~2.R", "1.3",
    ]  # fmt: skip
    assert posted(working) == 3 * Decimal("180.50") and tied(working)["breaks"] == 0


def test_a_draft_cancelled_just_before_posting_does_not_keep_the_others_from_it(working: Firm) -> None:
    working.start(2)
    working.log(1)
    working.log(2, workspace_id="2")
    working.load_time()
    run = steps(working, working.approve())
    assert billing_posting.read_back(*run)["agree"] == 2
    working.erp.documents["2"]["state"] = "cancelled"
    assert billing_posting.post(*run) == {"posted": 1}
    assert billing.find(working.store, run[-1])["state"] == "posted"
    assert tied(working)["breaks"] == 0  # the exception of the voided invoice tells of its hours
    working.bill()
    assert posted(working) == 2 * Decimal("180.50")
    assert working.exceptions() == [] and tied(working)["breaks"] == 0


def test_what_is_posted_is_never_voided_and_what_counts_is_never_billed_again(working: Firm, admin_url: str) -> None:
    working.log(1)
    working.load_time()
    working.bill()
    with pytest.raises(psycopg.errors.CheckViolation, match="is posted"), working.store.transaction("test"):
        working.store.run("insert into billing.void_invoice select invoice_key, '1' from billing.invoice")
    twice = """
        with again as (
            insert into billing.batch_line select batch_id, '1.1~2', kind, time_entry_id, version, project_code,
                worked_on, role, minutes, hourly_rate, amount, currency from billing.batch_line
            returning *)
        insert into billing.charge (charge_id, batch_id, line_key, kind, time_entry_id, version, project_code,
            worked_on, role, minutes, hourly_rate, amount, currency, cost_missing)
        select charge_id, batch_id, line_key, kind, time_entry_id, version, project_code, worked_on, role, minutes,
            hourly_rate, amount, currency, 'x'
        from again cross join (select line_key from billing.invoice_line) line"""
    with pytest.raises(psycopg.errors.CheckViolation, match="billed already"), psycopg.connect(admin_url) as owner:
        owner.execute(twice)
    working.erp.documents["1"]["state"] = "cancelled"
    with pytest.raises(Rejected, match="0 of 1"):
        working.post("MER-US.2026-10.1")
    assert working.freeze() is None


def test_a_voided_invoice_whose_draft_comes_back_to_life_is_a_break(working: Firm) -> None:
    working.log(1)
    working.load_time()
    run = steps(working, working.approve())
    working.erp.documents["1"]["state"] = "cancelled"
    billing_posting.read_back(*run)
    working.erp.documents["1"]["state"] = "posted"
    assert tied(working)["breaks"] == 1
    assert [e["record_id"] for e in working.exceptions("tie_out")] == ["6 strangers under our reference 1"]


def moved_between_three_projects(firm: Firm) -> None:
    """Three projects were billed; then hours moved from the first to the second and from there to the third."""
    firm.start(2)
    firm.start(3)
    first = [(1, "1", 180), (3, "2", 120), (5, "2", 60), (6, "3", 120)]
    then = [(1, "2", 180), (3, "2", 90), (5, "3", 60), (6, "3", 90)]
    for number, project, minutes in first:
        firm.log(number, minutes, workspace_id=project)
    firm.load_time()
    firm.bill()
    for number, project, minutes in then:
        firm.log(number, minutes, workspace_id=project, updated_at="2026-11-02T00:00:00Z")


def test_a_credit_that_waits_sinks_every_project_its_hours_moved_through(working: Firm) -> None:
    moved_between_three_projects(working)
    working.load_time()
    assert working.freeze() is None
    told = [(e["record_id"], e["value"]) for e in working.exceptions("billing")]
    assert told == [("P-1001", "-541.50"), ("P-1002", "-270.75"), ("P-1003", "-90.25")]
    assert tied(working)["breaks"] == 0


def test_hours_held_at_the_gate_sink_every_project_they_carried(working: Firm) -> None:
    moved_between_three_projects(working)
    working.log(7, 240, updated_at="2026-11-02T00:00:00Z")
    working.start(4)
    working.log(8, 60, workspace_id="4", updated_at="2026-11-02T00:00:00Z")
    working.load_time()
    before = posted(working)
    batch = working.approve(PassGate(9, (FailingRow("7", "x", "y", "BB-9", "no"),)))
    assert working.post(batch) == {"posted": 1} and posted(working) - before == Decimal("180.50")
    told = [e["record_id"] for e in working.exceptions("billing") if e["entity"] == "project"]
    assert told == ["P-1001", "P-1002", "P-1003"] and tied(working)["breaks"] == 0
    working.bill()
    assert working.exceptions() == [] and tied(working)["breaks"] == 0


def test_the_day_of_an_invoice_may_not_lie_in_a_closed_period_either(working: Firm, admin_url: str) -> None:
    working.log(1)
    working.load_time()
    period = policy_period("2026-10")
    batch = billing.freeze(working.store, working.config, "MER-US", period, dt.date(2026, 11, 15))
    assert batch
    shown = str(billing.check(working.store, working.config, PassGate(), batch)["content_hash"])
    working.decide(batch, "submit", "fiona", shown)
    working.decide(batch, "approve", "frank", shown)
    with psycopg.connect(admin_url) as owner:
        owner.execute("insert into core.period values ('MER-US', '2026-11', now())")
    with pytest.raises(GateFailed, match="period 2026-11 of MER-US is closed"):
        working.post(batch)
    assert charges(working) == []


def test_who_is_billed_for_which_month_on_which_day_is_part_of_what_is_approved(working: Firm, admin_url: str) -> None:
    working.log(1)
    working.load_time()
    batch = working.approve()
    with pytest.raises(psycopg.errors.InsufficientPrivilege), working.store.transaction("test"):
        working.store.run("update billing.batch set invoiced_on = '2026-12-01'")
    for change in ("invoiced_on = '2026-12-01'", "period = '2026-11'", "legal_entity_id = 'MER-DE'"):
        with psycopg.connect(admin_url) as owner:
            shown = owner.execute("select billing.content_hash(%s)", [batch]).fetchone()
            owner.execute(f"update billing.batch set {change}")
            assert owner.execute("select billing.content_hash(%s)", [batch]).fetchone() != shown
            owner.rollback()


def test_an_entry_held_by_its_batch_and_then_not_approved_needs_nobody_any_more(working: Firm) -> None:
    working.log(1)
    working.load_time()
    batch = working.freeze()
    assert batch
    with pytest.raises(GateFailed, match="nothing is left"):
        billing.check(working.store, working.config, PassGate(1, (FailingRow("1", "x", "y", "BB-9", "no"),)), batch)
    assert len(working.exceptions("billing")) == 1
    assert working.freeze("2026-09") is None and len(working.exceptions("billing")) == 1  # not this month's to say
    working.log(1, approved=False, updated_at="2026-11-02T00:00:00Z")
    working.load_time()
    assert working.freeze() is None and working.exceptions() == []


def test_a_credit_that_waits_is_still_told_while_another_invoice_is_being_posted(working: Firm) -> None:
    working.start(2)
    working.log(1, 120)
    working.load_time()
    working.bill()
    working.log(1, 60, updated_at="2026-11-02T00:00:00Z")
    working.log(2, 180, updated_at="2026-11-02T00:00:00Z")
    working.log(3, 60, workspace_id="2", updated_at="2026-11-02T00:00:00Z")
    working.load_time()
    batch = working.approve(PassGate(4, (FailingRow("2", "x", "y", "BB-9", "no"),)))
    steps(working, batch)
    assert working.freeze() == batch
    assert [e["record_id"] for e in working.exceptions("billing") if e["entity"] == "project"] == ["P-1001"]


def test_a_month_is_not_passed_over_while_another_one_is_being_posted(working: Firm) -> None:
    working.log(1)
    working.log(2, date_performed="2026-11-03")
    working.load_time()
    batch = working.approve()
    steps(working, batch)
    with pytest.raises(GateFailed, match=f"batch {batch} is still being posted, so 2026-11 of MER-US was not billed"):
        working.freeze("2026-11")
    assert working.freeze("2026-10") == batch


def both(app_url: str, work: Callable[[Store], Any]) -> list[Any]:
    """Do this at once in two sessions; return what each got, or its error."""

    def one(_: int) -> Any:
        with Store.open(app_url, REGION) as store:
            try:
                return work(store)
            except Exception as error:
                return error

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, range(2)))


def test_two_runs_that_release_at_once_both_see_it_released(working: Firm, app_url: str) -> None:
    working.log(1)
    working.load_time()
    batch = working.approve()
    found = both(app_url, lambda store: billing_posting.release(store, working.config, working.erp, batch))
    assert found == [1, 1] and len(charges(working)) == 1


def test_two_gates_on_one_batch_at_once_say_one_thing(working: Firm, app_url: str) -> None:
    working.log(1)
    working.log(2)
    working.load_time()
    batch = working.freeze()
    assert batch
    gate = PassGate(2, (FailingRow("2", "x", "y", "BB-9", "no"),))
    first, second = both(app_url, lambda store: billing.check(store, working.config, gate, batch))
    assert first == second and first["charges"] == 1


def test_a_freeze_during_a_release_returns_the_batch_that_is_being_posted(
    working: Firm, app_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    working.log(1)
    working.load_time()
    batch = working.approve()
    period = policy_period("2026-10")
    waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    register = billing_posting.effects.register
    with ThreadPoolExecutor(1) as pool, Store.open(app_url, REGION) as other:
        asked: list[Future[Any]] = []

        def in_the_middle(*args: Any) -> Any:
            asked.append(pool.submit(billing.freeze, other, working.config, "MER-US", period, period.end))
            until = time.monotonic() + 5
            while not working.store.value(waiting) and time.monotonic() < until:
                time.sleep(0.02)
            return register(*args)

        monkeypatch.setattr(billing_posting.effects, "register", in_the_middle)
        billing_posting.release(working.store, working.config, working.erp, batch)
        assert asked[0].result() == batch


def test_a_batch_that_another_run_released_is_not_called_stale(working: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    working.log(1)
    working.load_time()
    batch = working.approve()
    steps(working, batch)

    def too_late(*_: Any) -> None:
        raise billing_posting._Stale("changed")

    monkeypatch.setattr(billing_posting, "_release", too_late)
    monkeypatch.setattr(billing_posting, "find", lambda *_: {"state": "approved"})
    with pytest.raises(GateFailed):
        billing_posting.release(working.store, working.config, working.erp, batch)
    assert billing.find(working.store, batch)["state"] == "released"


def without(firm: Firm, admin_url: str, entry: str) -> None:
    """Bill a batch that lost the lines of one entry."""
    batch = firm.freeze()
    with psycopg.connect(admin_url) as owner:
        owner.execute("delete from billing.batch_line where batch_id = %s and time_entry_id = %s", [batch, entry])
    assert batch
    shown = str(billing.check(firm.store, firm.config, PassGate(), batch)["content_hash"])
    firm.decide(batch, "submit", "fiona", shown)
    firm.decide(batch, "approve", "frank", shown)
    firm.post(batch)


@pytest.mark.parametrize(
    "edit",
    [{"time_in_minutes": 90}, {"workspace_id": "2"}, {"date_performed": "2026-10-06"}, {"approved": False}],
    ids=lambda edit: next(iter(edit)),
)
def test_an_edit_that_a_posted_batch_lost_is_a_break(working: Firm, admin_url: str, edit: dict[str, Any]) -> None:
    working.start(2)
    working.log(1)
    working.log(3, 240)
    working.load_time()
    working.bill()
    working.log(1, **edit, updated_at="2026-11-02T00:00:00Z")
    working.log(2, 240, updated_at="2026-11-02T00:00:00Z")
    working.load_time()
    assert tied(working)["breaks"] == 0  # no batch had the chance yet
    without(working, admin_url, "1")
    assert tied(working)["breaks"] == 1
    assert [e["record_id"] for e in working.exceptions("tie_out")] == ["1 hours to charges 1"]
    working.log(4, 240, updated_at="2026-11-03T00:00:00Z")
    working.load_time()
    working.bill()
    assert tied(working)["breaks"] == 0 and working.exceptions() == []


def test_hours_that_wait_in_a_batch_are_no_break(working: Firm) -> None:
    working.log(1, role_id="1")
    working.log(2)
    working.load_time()
    working.bill()
    rate = {"id": "33", "rate_card_version_id": "21", "role_id": "1", "rate": 40000}
    working.kantata.load({"rate_card_roles": [rate]})
    working.sync()
    batch = working.approve()
    assert working.exceptions() == [] and tied(working)["breaks"] == 0
    working.post(batch)
    assert tied(working)["breaks"] == 0


def test_a_line_that_stands_twice_on_a_document_is_a_break(working: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    working.log(1)
    working.load_time()
    working.bill()
    (document,) = working.erp.invoices(["MER-US.2026-10.1.P-1001"])
    copied = replace(document.lines[0], erp_line_id="copy")
    twice = replace(document, lines=(*document.lines, copied), untaxed_amount=2 * document.untaxed_amount)
    monkeypatch.setattr(working.erp, "invoices", lambda _: [twice])
    assert tied(working)["breaks"] == 3  # the second line, the total, its revenue
    assert "3 lines to ERP lines ERP line copy" in {e["record_id"] for e in working.exceptions("tie_out")}


def test_a_line_may_have_more_than_ten_thousand_hours(working: Firm) -> None:
    working.log(1, 1_200_000)
    working.load_time()
    working.bill()
    (document,) = working.erp.documents.values()
    assert [line["hours"] for line in document["lines"]] == ["20000.0000"] and posted(working) == Decimal("3610000.00")


def test_a_paid_twin_is_told_and_left_alone(working: Firm) -> None:
    working.log(1)
    working.load_time()
    run = steps(working, working.approve())
    working.erp.documents["99"] = dict(working.erp.documents["1"], key="by hand", state="paid")
    assert billing_posting.read_back(*run) == {"agree": 0, "differ": 1, "strays": 0, "void": 0}
    assert working.erp.documents["99"]["state"] == "paid" and "cancel_invoice" not in working.erp.calls
    assert [e["message"] for e in working.exceptions("billing")] == ["document 99 is paid under the same reference"]


def test_a_currency_of_three_digits_keeps_them_all_the_way(working: Firm) -> None:
    card = {"id": "5", "currency": "KWD", "rate_card_set_id": "1", "rate_card_version_ids": ["21", "22"]}
    working.kantata.load({"rate_cards": [card]})
    working.start(2, CurrencyIsoCode="KWD")
    working.log(1, 61, workspace_id="2")
    working.load_time()
    batch = working.bill()
    assert charges(working) == [("1.1", 61, Decimal("18.351"))]
    assert billing.summary(working.store, batch)["totals"] == "18.351 KWD"
    assert tied(working)["breaks"] == 0
    assert working.store.value("select untaxed_amount from core.erp_invoice") == Decimal("18.351")


@pytest.mark.parametrize(
    ("amount", "currency", "reads"),
    [("1234567.5", "USD", "1,234,567.50 USD"), ("1234", "JPY", "1,234 JPY"), ("-0.5", "KWD", "-0.500 KWD")],
)
def test_money_reads_as_its_currency_is_written(store: Store, amount: str, currency: str, reads: str) -> None:
    assert store.value("select billing.money_text(%(a)s::numeric, %(c)s)", a=amount, c=currency) == reads


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=st.lists(st.tuples(st.integers(1, 600), st.integers(1, 31)), min_size=1, max_size=8))
def test_what_is_posted_is_what_was_worked_in_whatever_order_it_came(working: Firm, entries: Any) -> None:
    before = posted(working)
    rows = [(next(NUMBERS), minutes, day) for minutes, day in entries]
    for chunk in (rows[::2], rows[1::2]):
        for key, minutes, day in chunk:
            working.log(key, minutes, date_performed=f"2026-10-{day:02d}", updated_at="2026-11-20T00:00:00Z")
        if chunk:
            working.load_time()
            if working.freeze():
                working.bill()
    expected = sum(
        (Decimal(m) * (Decimal("180.50") if d < 16 else Decimal("200")) / 60).quantize(Decimal("0.01"), "ROUND_HALF_UP")
        for _, m, d in rows
    )
    assert posted(working) - before == expected
    assert tied(working)["breaks"] == 0
