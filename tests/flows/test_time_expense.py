"""Hours arrive once, change as versions, and only pass to billing through their gate."""

from __future__ import annotations

import pytest

from psflow.errors import GateFailed
from psflow.flows import time_expense
from psflow.gates.suite import ExpectationGate, FailingRow, Verdict
from tests.flows.conftest import Firm, PassGate


def heads(firm: Firm) -> dict[str, tuple[int, int | None, str]]:
    rows = firm.store.rows("select * from core.time_entry_head order by time_entry_id")
    return {r["time_entry_id"]: (r["latest_version"], r["passed_version"], r["state"]) for r in rows}


def test_an_entry_is_kept_once_however_often_it_is_read(firm: Firm) -> None:
    firm.start()
    firm.log(1)
    first = time_expense.load(firm.store, firm.config, firm.psa)
    again = time_expense.load(firm.store, firm.config, firm.psa)
    assert (first["changed"], again["changed"]) == (1, 0)
    assert firm.store.value("select count(*) from core.time_load") == 1


def test_an_entry_knows_its_project_its_person_and_its_role(firm: Firm) -> None:
    firm.start()
    firm.log(1, role_id=None)
    firm.load_time()
    row = firm.store.row("select project_code, resource_id, role, billed_role from core.time_entry")
    assert row == {"project_code": "P-1001", "resource_id": "7", "role": None, "billed_role": "Partner"}


def test_an_edit_becomes_a_new_version_and_an_older_one_never_wins(firm: Firm) -> None:
    firm.start()
    firm.log(1, 60)
    firm.load_time()
    firm.log(1, 90, updated_at="2026-11-01T00:00:00Z")
    firm.load_time()
    firm.log(1, 30, updated_at="2026-10-31T23:55:00Z")
    firm.load_time()
    assert heads(firm) == {"1": (2, 2, "passed")}
    assert [r["minutes"] for r in firm.store.rows("select minutes from core.time_entry order by version")] == [60, 90]


def test_a_touched_entry_that_says_the_same_is_no_new_version(firm: Firm) -> None:
    firm.start()
    firm.log(1)
    firm.load_time()
    firm.log(1, updated_at="2026-11-01T00:00:00Z")
    firm.load_time()
    assert heads(firm) == {"1": (1, 1, "passed")}


def test_bad_rows_are_held_with_key_field_value_and_rule_and_the_rest_goes_on(
    firm: Firm, real_gate: ExpectationGate
) -> None:
    firm.start()
    firm.log(1)
    firm.log(2, 2000)
    firm.log(3, workspace_id="404")
    firm.log(4, workspace_id="404", billable=False)
    assert firm.load_time(real_gate) == {"passed": 2, "held": 2}
    found = [(e["rule"], e["record_id"], e["field"], e["value"], e["owner_team"]) for e in firm.exceptions()]
    assert found == [("time_entry", "2", "minutes", "2000", "pmo"), ("time_entry", "3", "project_code", None, "pmo")]
    assert firm.exceptions()[0]["message"].startswith("TE-07: ")
    run = firm.store.row("select * from ops.gate_run")
    assert run and (run["verdict"], run["rows_checked"], run["rows_held"], run["checks"]) == ("held", 4, 2, 8)


def test_a_held_entry_passes_once_its_project_is_known(firm: Firm, real_gate: ExpectationGate) -> None:
    firm.kantata.load({"workspaces": [{"id": "1", "title": "made by hand"}]})
    firm.log(1, workspace_id="2")
    firm.sync()
    assert firm.load_time(real_gate) == {"passed": 0, "held": 1}
    firm.start()
    assert firm.load_time(real_gate) == {"passed": 1, "held": 0}
    assert firm.exceptions() == []


def test_an_edit_that_is_held_leaves_the_version_that_passed(firm: Firm) -> None:
    firm.start()
    firm.log(1)
    firm.load_time()
    firm.log(1, 5000, updated_at="2026-11-01T00:00:00Z")
    firm.load_time(PassGate(1, (FailingRow("1", "minutes", "5000", "TE-07", "too long"),)))
    assert heads(firm) == {"1": (2, 1, "held")}


class Crash:
    def run(self, suite: str, batch_id: str) -> Verdict:
        raise RuntimeError("out of memory")


class Empty:
    def run(self, suite: str, batch_id: str) -> Verdict:
        raise GateFailed("no rows")


@pytest.mark.parametrize("gate", [Crash(), Empty()])
def test_a_gate_that_gives_no_verdict_passes_nothing_and_is_asked_again(firm: Firm, gate: object) -> None:
    firm.start()
    firm.log(1)
    with pytest.raises(GateFailed):
        firm.load_time(gate)
    assert heads(firm) == {"1": (1, None, "pending")}
    assert firm.store.value("select verdict from ops.gate_run") == "failed"
    assert firm.load_time() == {"passed": 1, "held": 0}


def test_an_entry_out_of_shape_is_kept_for_a_person_and_closes_itself_when_it_is_right(firm: Firm) -> None:
    firm.start()
    firm.log(1)
    firm.log(2, date_performed="05.10.2026")
    firm.load_time()
    assert [(e["rule"], e["record_id"]) for e in firm.exceptions()] == [("record", "2")]
    assert firm.store.value("select count(*) from raw.record where record_id = '2' and kind = 'time_entry'") == 1
    firm.log(2, updated_at="2026-11-01T00:00:00Z")
    firm.load_time()
    assert firm.exceptions() == []
