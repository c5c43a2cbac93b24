"""Every approved hour is billed exactly once, after its gate and two people, to the cent."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from psflow.errors import GateFailed, Rejected, UncertainOutcome
from psflow.flows import billing, billing_posting, reconciliation
from psflow.gates.suite import ExpectationGate, FailingRow, Verdict
from tests.flows.conftest import Firm, PassGate

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
    assert tied(working) == {"comparisons": 2 + 2 + 2 + 1 + 1 + 1, "breaks": 0}


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
    assert (found["record_id"], found["value"]) == ("P-1001", "-180.500")
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
    assert working.erp.documents["1"]["state"] == "draft" and len(working.exceptions("billing")) == 2
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
    with pytest.raises(GateFailed, match="period of batch .* is closed"):
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
    assert billing_posting.read_back(*run) == {"agree": 1, "differ": 0, "strays": 1}
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
    assert [e["field"] for e in working.exceptions("billing")] == ["amount", "line MER-US.2026-10.1.P-1001.1"]
    assert working.erp.documents["1"]["state"] == "draft"


def test_a_document_changed_in_the_erp_is_a_break_and_an_exception(working: Firm) -> None:
    working.log(1)
    working.load_time()
    working.bill()
    assert tied(working)["breaks"] == 0
    working.erp.documents["1"]["lines"][0]["amount"] = "200.00"
    assert tied(working)["breaks"] == 2  # its line, its total
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
