"""A month that finance closed stays as it was signed, and whoever comes late counts in the next one."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from psflow.contracts import Period
from psflow.errors import GateFailed, TransientError
from psflow.flows import billing_adjustment, billing_posting, period, period_controls, reconciliation
from psflow.flows.period_source import read_source
from tests.flows.conftest import ENTITY, Firm

OCTOBER, NOVEMBER = Period(name="2026-10"), Period(name="2026-11")


@pytest.fixture
def working(firm: Firm) -> Firm:
    """A firm with one active project, an hour and a half billed in October, and its documents read."""
    firm.start()
    firm.log(1, 90)
    firm.load_time()
    firm.bill()
    look(firm)
    return firm


def look(firm: Firm) -> None:
    read_source(firm.store, firm.psa, OCTOBER)
    reconciliation.read_erp(firm.store, firm.erp)


def controls(firm: Firm, of: Period = OCTOBER) -> dict[str, period_controls.Control]:
    return {c.control: c for c in period_controls.check(firm.store, firm.config, ENTITY, of)}


def broken(firm: Firm) -> dict[str, list[str]]:
    return {name: [row["says"] for row in c.broken] for name, c in controls(firm).items() if c.broken}


def prepare(firm: Firm, user: str | None = "fiona") -> int:
    return period.prepare(firm.store, firm.config, ENTITY, OCTOBER, "run-1", user)


def sign(firm: Firm, close: int, user: str = "frank", reason: str = "", approved: bool = True) -> None:
    shown = period.find(firm.store, close)["content_hash"]
    period.sign(
        firm.store,
        firm.config,
        close,
        airflow_user=user,
        approved=approved,
        content_hash=shown,
        reason=reason,
        run_id="r",
    )


def close(firm: Firm) -> None:
    look(firm)
    sign(firm, prepare(firm))


def state(firm: Firm) -> str:
    return str(firm.store.value("select state from core.period where period = '2026-10'"))


def test_a_month_without_a_break_is_signed_and_closed(working: Firm) -> None:
    found = controls(working)
    assert list(found) == ["K1", "K2", "K3", "K4", "K8", "K9", "K10", "K11", "K12", "K13"]
    assert broken(working) == {}
    assert (found["K1"].records, found["K1"].sums) == (1, {"h": "1.5"})
    assert (found["K3"].records, found["K3"].sums) == (2, {"USD of lines": "270.75", "USD of invoices": "270.75"})
    assert (found["K4"].records, found["K4"].sums) == (1, {"USD": "270.75"})
    assert found["K11"].sums == {"persons": "2"}
    close(working)
    assert state(working) == "closed"
    row = working.store.row("select * from ops.close_signature")
    assert row and (row["person"], row["decision"]) == ("P-102", "signed")
    assert period.recheck(working.store, working.config) == {"signed": 1, "changed": 0}


def test_a_signed_month_keeps_the_queries_and_anybody_gets_the_same_from_them(working: Firm) -> None:
    close(working)
    rows = working.store.rows("select * from finance.close_control order by control")
    assert {row["result"] for row in rows} == {"tied"} and {row["signed_by"] for row in rows} == {"P-102"}
    (lines,) = [row for row in rows if row["control"] == "K3"]
    again = working.store.rows(lines["query"], **lines["parameters"])
    assert len(again) == lines["records"] == 2
    assert {row["unit"]: row["left_value"] for row in again} == {u: Decimal(s) for u, s in lines["sums"].items()}


def test_who_started_the_close_may_not_sign_it(working: Firm) -> None:
    for user, why in (
        ("fiona", "may not close periods"),
        ("frank", "prepared the controls of MER-US 2026-10 and may not"),
    ):
        with pytest.raises(GateFailed, match=why):
            sign(working, prepare(working, "frank"), user)
    assert state(working) == "open"


def test_a_signature_is_on_what_was_shown(working: Firm) -> None:
    number = prepare(working)
    with pytest.raises(GateFailed, match="are not what was shown"):
        period.sign(
            working.store, working.config, number, airflow_user="frank", approved=True, content_hash="f00d", reason="",
            run_id="r",
        )  # fmt: skip
    working.erp.documents["1"]["lines"][0]["amount"] = "270.76"
    look(working)
    with pytest.raises(GateFailed, match=r"K4 was 1 records \(270.75.* since version 1 was shown"):
        sign(working, number)
    assert state(working) == "open"


def test_a_rejected_close_says_why_and_closes_nothing(working: Firm) -> None:
    number = prepare(working)
    with pytest.raises(GateFailed, match="was not signed by frank: the bank is missing"):
        sign(working, number, reason="the bank is missing", approved=False)
    assert state(working) == "open"
    close(working)
    assert working.store.rows("select version, decision from ops.close join ops.close_signature using (close_id)") == [
        {"version": 1, "decision": "rejected"}, {"version": 2, "decision": "signed"}
    ]  # fmt: skip


def test_a_break_is_signed_only_with_the_reason_for_which_it_is_accepted(working: Firm) -> None:
    working.erp.documents["1"]["state"] = "draft"
    look(working)
    assert broken(working) == {"K4": ["is draft in the ERP"]}
    number = prepare(working)
    with pytest.raises(GateFailed, match="is broken: sign it with the reason"):
        sign(working, number)
    sign(working, number, reason="posted by hand on Monday, seen by the auditor")
    assert state(working) == "closed"


def test_the_flows_cannot_close_a_month_by_themselves(working: Firm) -> None:
    for change in ("closed_at = now()", "closed_at = now(), changed_at = now()"):
        with pytest.raises(psycopg.errors.CheckViolation, match="no signature"), working.store.transaction("test"):
            working.store.run(f"update core.period set {change} where period = '2026-10'")  # type: ignore[arg-type]
    close(working)
    with pytest.raises(psycopg.errors.CheckViolation, match="re-opened by a person"), working.store.transaction("test"):
        working.store.run("update core.period set closed_at = null where period = '2026-10'")


def test_each_control_names_what_breaks_it(working: Firm, admin_url: str) -> None:
    working.log(2, 60)
    read_source(working.store, working.psa, OCTOBER)
    assert broken(working) == {"K1": ["is in the PSA and did not land"]}
    working.load_time()
    assert broken(working) == {}  # approved after the newest batch: unbilled, and in no gap
    plant = {
        "K2": "update core.time_load set loaded_at = now() - interval '1 day'",
        "K3": "update billing.invoice_line set amount = amount + 1",
        "K4": "update core.erp_invoice set reference = 'another', erp_invoice_id = '9'",
        "K9": "insert into ops.period_event (legal_entity_id, period, event, reason, at) "
        "values ('MER-US', '2026-10', 'closed', 'x', now() - interval '1 day')",
        "K10": "update core.rate set hourly_rate = 181",
        "K11": "update ops.approval set person = 'P-101'",
        "K12": "update billing.batch set frozen_at = '2026-10-10'; "
        "insert into core.history (entity, entity_id, valid_from, content, valid_to) "
        "select 'rate', rate_id, '2026-10-12', '{}', now() from billing.charge",
    }
    with psycopg.connect(admin_url, autocommit=True) as owner:
        for control, change in plant.items():
            with owner.transaction(force_rollback=True):
                owner.execute("set session_replication_role = replica")
                owner.execute(change)
                seen = {row[0] for row in _answers(owner, working)}
                assert control in seen, control
            owner.execute("set session_replication_role = origin")


def _answers(owner: psycopg.Connection[Any], firm: Firm) -> list[Any]:
    """Ask the controls in the owner's own transaction."""
    from psflow.store.connection import sql

    asked = period_controls.question(firm.store, firm.config, ENTITY, OCTOBER) | {"as_of": dt.datetime.now(dt.UTC)}
    owner.execute(sql("warehouse.period", "staging"))
    for name, file in period_controls.CONTROLS.items():
        owner.execute(
            "insert into close_answer select %(control)s, record_id, unit, left_value, right_value, says, detail from ("
            + sql("warehouse.period", file) + ") answer",
            asked | {"control": name},
        )  # fmt: skip
    return owner.execute("select distinct control from close_answer where says is not null").fetchall()


def test_a_close_waits_for_a_batch_that_is_not_done(working: Firm) -> None:
    working.log(2)
    working.load_time()
    batch = working.approve()
    read_source(working.store, working.psa, OCTOBER)
    with pytest.raises(TransientError, match=f"waits for open work: batch {batch} is approved"):
        prepare(working)
    billing_posting.release(working.store, working.config, working.erp, batch)
    with pytest.raises(TransientError, match=f"batch {batch} is released; effect tryton:draft_invoice:.* is pending"):
        prepare(working)
    working.post(batch)
    close(working)
    assert state(working) == "closed"


def test_a_batch_that_was_frozen_after_the_controls_were_shown_holds_the_signature(working: Firm) -> None:
    number = prepare(working)
    working.log(2)
    working.load_time()
    batch = working.approve()
    with pytest.raises(GateFailed, match=f"waits for open work: batch {batch} is approved"):
        sign(working, number)
    working.post(batch)
    look(working)
    with pytest.raises(GateFailed, match="K3 was 2 records"):
        sign(working, number)
    assert state(working) == "open"


def test_an_hour_that_comes_after_the_close_counts_in_the_next_month_with_its_own_day(working: Firm) -> None:
    close(working)
    working.log(2, 60, date_performed="2026-10-20")
    working.load_time()
    working.bill("2026-11")
    rows = working.store.rows("select worked_on, accounting_on from billing.charge where time_entry_id = '2'")
    assert rows == [{"worked_on": dt.date(2026, 10, 20), "accounting_on": dt.date(2026, 11, 1)}]
    assert period.recheck(working.store, working.config) == {"signed": 1, "changed": 0}
    assert state(working) == "closed"


def test_an_hour_edited_after_the_close_is_reversed_and_replaced_in_the_next_month(working: Firm) -> None:
    close(working)
    working.log(1, 120)
    working.load_time()
    working.bill("2026-11")
    rows = working.store.rows("select charge_id, accounting_on from billing.charge order by charge_id")
    assert [(row["charge_id"], row["accounting_on"].isoformat()) for row in rows] == [
        ("1.1", "2026-10-05"), ("1.1.R", "2026-11-01"), ("1.2", "2026-11-01")
    ]  # fmt: skip
    assert period.recheck(working.store, working.config) == {"signed": 1, "changed": 0}


@pytest.mark.parametrize(
    "statement",
    [
        "insert into billing.adjustment (kind, entry_key, amount, currency, decided_on, reason, asked_by, approved_by) "
        "values ('write_off', '1', 1, 'USD', '2026-10-31', 'x', 'P-101', 'P-102')",
        "insert into billing.opening_balance values ('P-1001', '2026-10-01', 1, 1, 'USD')",
    ],
)
def test_nobody_writes_into_a_closed_month(working: Firm, statement: str) -> None:
    close(working)
    code = working.store.value("select project_code from core.project")
    refused = pytest.raises(psycopg.errors.CheckViolation, match="period 2026-10 of MER-US is closed")
    with refused, working.store.transaction("test"):
        working.store.run(statement.replace("P-1001", code))  # type: ignore[arg-type]


def test_a_later_batch_with_work_of_the_month_holds_the_close_and_is_refused_after_it(
    working: Firm, admin_url: str
) -> None:
    working.log(2, 60, date_performed="2026-10-20")
    working.load_time()
    batch = working.approve(period="2026-11")
    with pytest.raises(TransientError, match=f"waits for open work: batch {batch} is approved"):
        prepare(working)
    with psycopg.connect(admin_url) as owner:  # past the guard of the period: the ledger has its own
        owner.execute("alter table core.period disable trigger guard")
        owner.execute("update core.period set closed_at = now() where period = '2026-10'")
    with pytest.raises(GateFailed, match="2026-10 of MER-US is closed, and the batch has work that counts in it"):
        working.post(batch)
    assert working.store.value("select count(*) from billing.charge") == 1


def test_a_refused_attempt_to_write_into_a_closed_month_is_kept_as_evidence(working: Firm) -> None:
    close(working)
    credit = billing_adjustment.Adjustment("credit", "1", Decimal(30), OCTOBER.end, "too slow", "P-101", "P-102")
    with pytest.raises(GateFailed, match="period 2026-10 of MER-US is closed, and a credit is decided in it"):
        billing_adjustment.adjust(working.store, working.config.legal_entity(ENTITY), credit)
    assert controls(working)["K9"].sums == {"USD": "270.75", "attempts": "1"}
    assert period.recheck(working.store, working.config) == {"signed": 1, "changed": 0}


def test_a_soft_closed_month_takes_what_two_persons_decide_and_nothing_else(working: Firm) -> None:
    run = (working.store, working.config, ENTITY, OCTOBER)
    with pytest.raises(GateFailed, match="fiona may not close"):
        period.soft_close(*run, "fiona", "numbers are at the auditor")
    period.soft_close(*run, "frank", "numbers are at the auditor")
    assert state(working) == "soft_closed"
    working.log(2, 60, date_performed="2026-10-20")
    working.load_time()
    credit = billing_adjustment.Adjustment("credit", "1", Decimal(30), OCTOBER.end, "too slow", "P-101", "P-102")
    assert billing_adjustment.adjust(working.store, working.config.legal_entity(ENTITY), credit) == Decimal("90.25")
    working.bill("2026-11")
    months = working.store.rows(
        "select charge_id, to_char(accounting_on, 'YYYY-MM') as month from billing.charge order by 1"
    )
    found = {row["charge_id"]: row["month"] for row in months}
    assert found["2.1"] == "2026-11" and found["1.1.R"] == "2026-10"
    refused = pytest.raises(psycopg.errors.CheckViolation, match="is soft-closed, and an opening balance counts in it")
    with refused, working.store.transaction("test"):
        working.store.run(
            "insert into billing.opening_balance select project_code, '2026-10-01', 1, 1, 'USD' from core.project"
        )
    close(working)
    assert state(working) == "closed"


def test_a_month_is_reopened_with_a_reason_and_closed_with_a_new_version(working: Firm) -> None:
    close(working)
    with pytest.raises(GateFailed, match="is closed; re-open it first"):
        prepare(working)
    with pytest.raises(GateFailed, match="fiona may not close or open"):
        period.reopen(working.store, working.config, ENTITY, OCTOBER, "fiona", "an hour is missing")
    period.reopen(working.store, working.config, ENTITY, OCTOBER, "frank", "an hour is missing")
    assert state(working) == "open"
    with pytest.raises(psycopg.errors.CheckViolation, match="no signature"), working.store.transaction("test"):
        working.store.run("update core.period set closed_at = now() where period = '2026-10'")
    working.log(2, 60)
    working.load_time()
    working.bill()
    look(working)
    late = controls(working)["K8"]
    assert (late.records, late.sums) == (1, {"h": "1"})  # arrived after the cut-off of the first version
    close(working)
    rows = working.store.rows(
        "select distinct version, sums, is_newest from finance.close_control where control = 'K4'"
    )
    assert [(row["version"], row["sums"], row["is_newest"]) for row in sorted(rows, key=lambda r: r["version"])] == [
        (1, {"USD": "270.75"}, False), (2, {"USD": "451.25"}, True)
    ]  # fmt: skip
    events = working.store.rows("select event, reason from ops.period_event order by event_id")
    assert [row["event"] for row in events] == ["closed", "reopened", "closed"]
    assert events[1]["reason"] == "an hour is missing"


def test_what_changes_after_the_signature_shows_and_waits_for_another_one(working: Firm, admin_url: str) -> None:
    close(working)
    working.erp.documents["1"]["lines"][0]["amount"] = "270.00"
    reconciliation.read_erp(working.store, working.erp)
    assert period.recheck(working.store, working.config) == {"signed": 1, "changed": 1}
    assert period.recheck(working.store, working.config) == {"signed": 1, "changed": 1}
    assert state(working) == "changed"
    (found,) = working.exceptions("period")
    assert (found["record_id"], found["field"], found["owner_team"]) == ("MER-US 2026-10", "K4", "finance")
    working.log(2, 60)
    working.load_time()
    working.bill("2026-11")  # still locked: what is late counts in November
    assert working.store.value("select max(accounting_on) from billing.charge") == dt.date(2026, 11, 1)
    look(working)
    sign(working, prepare(working), reason="the ERP was corrected by hand, 0.75 below")
    assert state(working) == "closed" and working.exceptions("period") == []


def test_a_month_that_is_not_over_is_not_closed(working: Firm) -> None:
    with pytest.raises(GateFailed, match="2999-01 is not over"):
        period.prepare(working.store, working.config, ENTITY, Period(name="2999-01"), "r")
