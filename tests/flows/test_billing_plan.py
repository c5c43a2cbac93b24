"""One plan a batch: what people see, decide on and get posted, to the cent; above a limit two of them approve it."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from psflow.config import Approval, Config
from psflow.errors import ConfigurationError, GateFailed
from psflow.flows import billing, billing_plan, billing_posting, reconciliation
from psflow.flows.billing_plan import COLUMNS, Plan
from psflow.flows.billing_plan_sheets import sheets
from psflow.flows.billing_preview import preview
from psflow.gates.suite import FailingRow
from psflow.workbook import write
from tests.flows.conftest import ENTITY, Firm, PassGate, policy_period

OCTOBER = policy_period("2026-10")


@pytest.fixture
def working(firm: Firm) -> Firm:
    firm.start()
    firm.log(1, 60)
    firm.log(2, 90, date_performed="2026-10-20")
    firm.load_time()
    firm.spend(3)
    firm.load_expenses()
    return firm


def checked(firm: Firm, gate: Any = None, period: str = "2026-10") -> tuple[str, str]:
    batch = firm.freeze(period)
    assert batch is not None
    return batch, str(billing.check(firm.store, firm.config, gate or PassGate(), batch)["content_hash"])


def planned(firm: Firm, batch: str) -> Plan:
    return billing_plan.of(firm.store, batch)


def with_limit(firm: Firm, **above: int) -> None:
    """Limits on what one person approves, and a second person who may approve."""
    people = [
        p.model_copy(update={"may": ("approve",)}) if p.airflow_user == "petra" else p for p in firm.config.people
    ]
    firm.config = firm.config.model_copy(
        update={
            "people": tuple(people),
            "approval": Approval(second_approver_above={c: Decimal(a) for c, a in above.items()}),
        }
    )


def test_a_plan_has_invoices_lines_and_totals_that_add_up(working: Firm) -> None:
    batch, shown = checked(working)
    plan = planned(working, batch)
    (total,) = plan.tables["totals"]
    assert (total["fees"], total["expenses"], total["amount"]) == ("480.500", "100.550", "581.050")
    for table, column in {"invoices": "amount", "lines": "amount", "tax": "taxable"}.items():
        assert sum(Decimal(row[column]) for row in plan.tables[table]) == Decimal("581.050"), table
    assert [(r["of_what"], r["hours"], r["charges"]) for r in plan.tables["lines"]] == [
        ("Consultant", "1", 1), ("Consultant", "1.5", 1), ("Travel", "0", 1),
    ]  # fmt: skip
    assert plan.content_hash == shown and plan.plan_hash


def test_the_plan_is_kept_and_what_comes_later_does_not_change_it(working: Firm) -> None:
    batch, _ = checked(working)
    before = planned(working, batch)
    with working.store.transaction("test"):
        working.store.run("update core.customer set name = 'Renamed'")
    assert planned(working, batch) == before
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        working.store.run("update billing.plan set plan = '{}'")


def test_the_plan_is_posted_to_the_cent_and_anything_else_is_a_difference(working: Firm, admin_url: str) -> None:
    batch = working.bill()
    reconciliation.read_erp(working.store, working.erp)
    assert billing_plan.plan_equals_posted(working.store) == []
    with psycopg.connect(admin_url) as owner:
        owner.execute("update core.erp_invoice set untaxed_amount = untaxed_amount + 0.01")
        owner.execute("update billing.invoice_line set amount = amount + 1 where category is not null")
    differences = billing_plan.plan_equals_posted(working.store)
    assert [(d["what"], d["planned"], d["found"]) for d in differences] == [
        ("document in the ERP", "581.05 USD", "581.06 USD"), ("invoice line", "100.55 USD", "101.55 USD"),
    ]  # fmt: skip
    assert {d["batch_id"] for d in differences} == {batch}


def test_an_invoice_that_is_not_in_the_plan_is_refused_by_the_database(working: Firm, admin_url: str) -> None:
    batch = working.approve()
    with psycopg.connect(admin_url) as owner:
        owner.execute("alter table billing.plan disable trigger user")
        owner.execute("update billing.plan set plan = replace(plan::text, '581.050', '582.050')::json")
        owner.execute("update billing.plan set plan_hash = billing.plan_hash(content_hash, plan)")
        owner.execute("update ops.approval set plan_hash = (select plan_hash from billing.plan)")
    with pytest.raises(GateFailed, match="would make other invoices than its plan says: MER-US.2026-10.1.P-1001"):
        billing_posting.release(working.store, working.config, working.erp, batch)
    assert not working.store.value("select count(*) from billing.invoice")


def test_a_plan_that_was_changed_after_its_approval_posts_nothing(working: Firm, admin_url: str) -> None:
    batch = working.approve()
    with psycopg.connect(admin_url) as owner:
        owner.execute("alter table billing.plan disable trigger user")
        owner.execute("update billing.plan set plan = replace(plan::text, 'Acme', 'Ajax')::json")
    with pytest.raises(GateFailed, match="needs 1 approvers of its plan"):
        billing_posting.release(working.store, working.config, working.erp, batch)


def test_each_decision_carries_the_hash_of_the_plan(working: Firm) -> None:
    batch = working.approve()
    plan = planned(working, batch)
    rows = working.store.rows("select distinct plan_hash from ops.approval")
    assert rows == [{"plan_hash": plan.plan_hash}]


def test_what_is_held_says_why(working: Firm) -> None:
    working.log(4, role_id="1")  # no rate
    working.log(5, 77)
    working.load_time()
    working.log(6, 99)
    working.load_time(PassGate(1, (FailingRow("6", "minutes", "99", "TE-01", "odd"),)))
    batch, _ = checked(working, PassGate(5, (FailingRow("5", "minutes", "77", "BI-01", "odd"),)))
    held = {row["id"]: (row["reason"], row["hours"], row["amount"]) for row in planned(working, batch).tables["held"]}
    assert held == {
        "4": ("no rate", "1", None), "5": ("held by the gate of the batch", "1.2833", "231.640"),
        "6": ("held by the gate of its load", "1.65", None),
    }  # fmt: skip
    says = {row["id"]: row["says"] for row in planned(working, batch).tables["held"]}
    assert "no USD rate for Partner" in says["4"] and says["5"] == "BI-01: odd" and says["6"] == "TE-01: odd"


def test_a_cap_shows_what_was_used_taken_and_left(working: Firm) -> None:
    with working.store.transaction("test"):
        working.store.run(
            "insert into billing.cap (cap_id, level, scope_id, limit_amount, currency, invoiced_elsewhere) "
            "select 'CAP-1', 'contract', contract_id, 500, 'USD', 100 from core.contract"
        )
    batch, _ = checked(working)
    (cap,) = planned(working, batch).tables["caps"]
    numbers = [Decimal(cap[name]) for name in ("limit_amount", "used_before", "taken", "still_free", "over_amount")]
    assert numbers == [500, 100, 400, 0, Decimal("80.50")]
    (over,) = planned(working, batch).tables["held"]
    assert (over["id"], over["reason"], over["amount"]) == ("2", "over the cap CAP-1", "80.500")


def test_changes_are_against_the_last_period_and_the_last_plan(working: Firm) -> None:
    working.bill()
    working.log(7, 60, date_performed="2026-11-03")
    working.load_time()
    first, _ = checked(working, period="2026-11")
    (row,) = planned(working, first).tables["changes"]
    assert (row["last_period"], row["last_amount"], row["change"]) == ("2026-10", "581.050", "-381.050")
    assert (row["last_plan"], row["change_of_plan"]) == (None, None)
    working.log(8, 30, date_performed="2026-11-04")
    working.load_time()
    second, _ = checked(working, period="2026-11")
    (row,) = planned(working, second).tables["changes"]
    assert (row["amount"], row["last_plan"], row["change_of_plan"]) == ("300.000", first, "100.000")


def test_a_preview_says_what_a_run_would_freeze_and_keeps_nothing(working: Firm) -> None:
    working.log(4, role_id="1")
    working.load_time()
    found = preview(working.store, working.config, ENTITY, OCTOBER)
    assert found is not None and found.plan_hash is None
    for table in ("billing.batch", "billing.plan", "billing.left_out", "ops.exceptions", "ops.person"):
        assert working.store.value(f"select count(*) from {table}") == 0, table  # type: ignore[arg-type]
    batch, _ = checked(working)
    assert planned(working, batch).tables == found.tables
    again = preview(working.store, working.config, ENTITY, OCTOBER)
    assert again is not None and again.plan_hash == planned(working, batch).plan_hash


def test_nothing_to_bill_has_no_plan_and_a_stranger_no_entity(firm: Firm) -> None:
    firm.start()
    assert preview(firm.store, firm.config, ENTITY, OCTOBER) is None
    with pytest.raises(ConfigurationError, match="MER-XX"):
        preview(firm.store, firm.config, "MER-XX", OCTOBER)


def test_a_workbook_has_a_sheet_a_table_definitions_and_no_formula(working: Firm, tmp_path: Path) -> None:
    with working.store.transaction("test"):
        working.store.run("update core.customer set name = '=cmd|calc!A1'")
    batch = working.approve()
    plan = planned(working, batch)
    made = sheets(working.store, plan)
    assert [sheet.name for sheet in made] == [
        "Plan", "Totals", "Invoices", "Lines", "Changes", "Held", "Caps", "Tax", "Entries", "Definitions",
    ]  # fmt: skip
    write(tmp_path / "plan.xlsx", sheets(working.store, plan))
    with zipfile.ZipFile(tmp_path / "plan.xlsx") as parts:
        text = "".join(parts.read(name).decode() for name in parts.namelist() if name.endswith(".xml"))
    assert "'=cmd|calc!A1" in text
    for shown in ("581.05", str(plan.plan_hash), "fiona (P-101)", COLUMNS["tax_treatment"]):
        assert shown in text
    for unfit in ("<f>", ">=cmd"):
        assert unfit not in text


def test_every_column_is_defined(working: Firm) -> None:
    batch, _ = checked(working)
    for name, rows in planned(working, batch).tables.items():
        assert {column for row in rows for column in row} <= set(COLUMNS), name


def test_a_plan_is_json(working: Firm) -> None:
    batch, _ = checked(working)
    assert json.loads(json.dumps(dataclasses.asdict(planned(working, batch)), default=str))["tables"]["totals"]


# how many approve


def test_above_the_limit_two_persons_approve_and_one_is_not_enough(working: Firm) -> None:
    with_limit(working, USD=500)
    batch, shown = checked(working)
    assert planned(working, batch).approvers == 2
    working.decide(batch, "submit", "fiona", shown)
    working.decide(batch, "approve", "frank", shown)
    assert billing.find(working.store, batch)["state"] == "submitted"
    with pytest.raises(GateFailed, match="submitted, not approved"):
        billing_posting.release(working.store, working.config, working.erp, batch)
    with pytest.raises(GateFailed, match="may not be both approvers"):
        working.decide(batch, "approve", "frank", shown)
    working.decide(batch, "approve", "petra", shown)
    assert billing.find(working.store, batch)["state"] == "approved"
    working.post(batch)
    assert billing_plan.plan_equals_posted(working.store) == []


def test_the_database_refuses_the_invoice_that_one_person_approved(working: Firm) -> None:
    with_limit(working, USD=500)
    batch, shown = checked(working)
    working.decide(batch, "submit", "fiona", shown)
    working.decide(batch, "approve", "frank", shown)
    with working.store.transaction("test"):  # whoever writes the state past the flow
        working.store.run("update billing.batch set state = 'approved' where batch_id = %(batch)s", batch=batch)
    with pytest.raises(GateFailed, match="needs 2 approvers of its plan"):
        billing_posting.release(working.store, working.config, working.erp, batch)


@pytest.mark.parametrize(("above", "approvers"), [({}, 1), ({"USD": 582}, 1), ({"USD": 581}, 2), ({"EUR": 9999}, 2)])
def test_a_limit_counts_what_is_above_it_and_a_currency_without_one_takes_two(
    working: Firm, above: dict[str, int], approvers: int
) -> None:
    with_limit(working, **above)
    assert planned(working, checked(working)[0]).approvers == approvers


def test_a_limit_that_is_lowered_before_the_approval_counts(working: Firm) -> None:
    batch, shown = checked(working)
    working.decide(batch, "submit", "fiona", shown)
    with_limit(working, USD=100)
    working.decide(batch, "approve", "frank", shown)
    assert billing.find(working.store, batch)["state"] == "submitted"


def test_no_third_person_and_no_second_one_below_the_limit(working: Firm, config: Config) -> None:
    with_limit(working, USD=9999)
    working.approve()
    with pytest.raises(psycopg.errors.CheckViolation, match="needs one approver, not two"):
        working.store.run(
            "insert into ops.approval (batch_id, step, seat, decision, person, airflow_user, run_id, content_hash) "
            "select batch_id, 'approve', 2, 'approved', 'P-202', 'petra', 'r', content_hash from billing.batch"
        )


def test_a_reject_keeps_its_reason_and_the_next_plan_shows_it(working: Firm) -> None:
    first, shown = checked(working)
    working.decide(first, "submit", "fiona", shown)
    with pytest.raises(GateFailed, match="rejected by frank: hours of Ann look wrong; nothing is posted"):
        billing.decide(
            working.store, working.config, first, "approve", airflow_user="frank", approved=False, content_hash=shown,
            run_id="r", reason="  hours of Ann look wrong ",
        )  # fmt: skip
    second, _ = checked(working)
    told = [(d["batch_id"], d["decision"], d["reason"]) for d in billing_plan.decisions(working.store, second)]
    assert told == [(first, "rejected", "hours of Ann look wrong")]


def test_after_a_reject_nobody_decides(working: Firm) -> None:
    with_limit(working, USD=500)
    batch, shown = checked(working)
    working.decide(batch, "submit", "fiona", shown)
    with pytest.raises(GateFailed, match="was rejected by frank"):
        working.decide(batch, "approve", "frank", shown, approved=False)
    with pytest.raises(GateFailed, match=f"batch {batch} was rejected"):
        working.decide(batch, "approve", "petra", shown)
