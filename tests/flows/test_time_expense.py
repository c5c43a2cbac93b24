"""Hours arrive once, change as versions, and only pass to billing through their gate."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from psflow.errors import GateFailed
from psflow.flows import time_expense
from psflow.gates.suite import ExpectationGate, FailingRow, Verdict
from psflow.systems.kantata.mapping_delivery import Beside
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


def test_an_entry_says_its_contract_line_and_where_it_was_done_once_the_connection_names_the_fields(
    firm: Firm, tmp_path: Path
) -> None:
    def said() -> dict[str, tuple[int, str | None, str | None]]:
        rows = firm.store.rows(
            "select entry.* from core.time_entry_head join core.time_entry entry using (time_entry_id) "
            "where version = latest_version"
        )
        return {row["time_entry_id"]: (row["version"], row["contract_line"], row["region"]) for row in rows}

    firm.start()
    firm.log(1, story_id="812", location="Berlin")
    firm.load_time()
    assert said() == {"1": (1, None, None)}
    firm.psa.beside = Beside("story_id", {"Berlin": "EU"})
    firm.log(1, story_id="812", location="Berlin", updated_at="2026-11-01T00:00:00Z")
    firm.log(2, updated_at="2026-11-01T00:00:00Z")
    firm.log(3, location="Mars", updated_at="2026-11-01T00:00:00Z")
    firm.load_time()
    assert said() == {"1": (2, "812", "EU"), "2": (1, None, None)}
    (unknown,) = firm.exceptions("record")
    assert unknown["record_id"] == "3" and "location 'Mars' is no region of ours" in unknown["message"]
    with firm.store.transaction("test"):
        for rate_id, level, scope, region, rate in (
            ("R1", "contract_line", "812", None, 150),
            ("R2", "standard", "*", "EU", 120),
        ):
            firm.store.run(
                "insert into core.agreed_rate "
                "(rate_id, level, scope_id, role, region, valid_from, hourly_rate, currency) values "
                "(%(id)s, %(level)s, %(scope)s, 'Consultant', %(region)s, '2026-01-01', %(rate)s, 'USD')",
                id=rate_id, level=level, scope=scope, region=region, rate=rate,
            )  # fmt: skip
    firm.bill()
    priced = {r["charge_id"]: r["rate_id"] for r in firm.store.rows("select * from billing.charge")}
    assert priced == {"1.2": "R1", "2.1": "5|Consultant|2026-01-01"}
    delete(tmp_path, 1, 2)
    firm.load_time()
    assert said() == {"1": (3, "812", "EU"), "2": (2, None, None)}  # gone, and still of its line


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


def test_an_entry_whose_role_nobody_knows_is_a_persons_and_never_billed_at_another_roles_price(firm: Firm) -> None:
    firm.start()
    firm.log(1, role_id="99")
    firm.log(2)
    assert firm.load_time() == {"passed": 1, "held": 0}
    (found,) = firm.exceptions()
    assert (found["rule"], found["record_id"]) == ("record", "1") and "role_id 99" in found["message"]
    firm.log(1, role_id="2", updated_at="2026-11-01T00:00:00Z")
    assert firm.load_time() == {"passed": 1, "held": 0} and firm.exceptions() == []


class Never:
    """A gate that gives no verdict on one load, ever."""

    def __init__(self, load_id: str) -> None:
        self.load_id = load_id

    def run(self, suite: str, batch_id: str) -> Verdict:
        if batch_id == self.load_id:
            raise GateFailed("no verdict")
        return Verdict(1, 5, ())


def test_a_load_without_a_verdict_does_not_keep_later_ones_from_theirs(firm: Firm) -> None:
    firm.start()
    firm.log(1)
    time_expense.load(firm.store, firm.config, firm.psa)
    firm.log(2, updated_at="2026-11-01T00:00:00Z")
    with pytest.raises(GateFailed, match="1 of 2 loads wait, 1 entries passed: no verdict"):
        firm.load_time(Never("1"))
    assert heads(firm) == {"1": (1, None, "pending"), "2": (1, 1, "passed")}


def delete(folder: Path, *numbers: int) -> list[tuple[object, ...]]:
    """Somebody deletes entries in the PSA, which keeps no trace; return what they were."""
    with sqlite3.connect(folder / "kantata.sqlite") as shelf:
        chosen = f"kind = 'time_entries' and id in ({', '.join('?' * len(numbers))})"
        ids = [str(n) for n in numbers]
        rows = shelf.execute(f"select * from record where {chosen}", ids).fetchall()
        shelf.execute(f"delete from record where {chosen}", ids)
    return rows


def test_a_billed_entry_that_was_deleted_is_reversed(firm: Firm, tmp_path: Path) -> None:
    firm.start()
    firm.log(1, 60)
    firm.log(2, 120)
    firm.load_time()
    firm.bill()
    delete(tmp_path, 1)
    firm.log(3, 240, updated_at="2026-11-02T00:00:00Z")
    assert firm.load_time() == {"passed": 2, "held": 0}
    firm.bill()
    live = firm.store.rows("select charge_id, amount from billing.live_charge order by 1")
    assert [(r["charge_id"], r["amount"]) for r in live] == [("2.1", Decimal("361.000")), ("3.1", Decimal("722.000"))]
    assert firm.store.value("select amount from billing.charge where charge_id = '1.1.R'") == Decimal("-180.500")
    assert firm.load_time() == {"passed": 0, "held": 0}


def test_an_entry_that_is_there_again_is_what_it_was(firm: Firm, tmp_path: Path) -> None:
    firm.start()
    firm.log(1)
    firm.load_time()
    (row,) = delete(tmp_path, 1)
    assert time_expense.load(firm.store, firm.config, firm.psa)["gone"] == 1
    with sqlite3.connect(tmp_path / "kantata.sqlite") as shelf:
        shelf.execute(f"insert into record values ({', '.join('?' * len(row))})", row)
    firm.load_time()
    said = "select minutes, is_approved, is_gone from core.time_entry order by version"
    assert [tuple(r.values()) for r in firm.store.rows(said)] == [
        (60, True, False),
        (60, False, True),
        (60, True, False),
    ]
    assert heads(firm) == {"1": (3, 3, "passed")}


def test_many_entries_missing_at_once_are_asked_about_not_reversed(firm: Firm, tmp_path: Path) -> None:
    firm.start()
    for number in range(1, 31):
        firm.log(number)
    firm.load_time()
    rows = delete(tmp_path, *range(1, 26))
    assert time_expense.load(firm.store, firm.config, firm.psa)["gone"] == 0
    (found,) = firm.exceptions()
    assert (found["rule"], found["record_id"], found["value"]) == ("record", "*", "25")
    assert found["message"].startswith("kantata: 25 of 30 entries since 2026-10-05 are missing at once")
    with sqlite3.connect(tmp_path / "kantata.sqlite") as shelf:
        shelf.executemany(f"insert into record values ({', '.join('?' * len(rows[0]))})", rows)
    firm.load_time()
    assert firm.exceptions() == []


def test_work_of_a_closed_period_stays_as_it_is(firm: Firm, tmp_path: Path, admin_url: str) -> None:
    firm.start()
    firm.log(1)
    firm.log(2, date_performed="2026-11-02")
    firm.load_time()
    with psycopg.connect(admin_url) as owner:
        owner.execute("insert into core.period values ('MER-US', '2026-10', now())")
    delete(tmp_path, 1)
    assert time_expense.load(firm.store, firm.config, firm.psa)["gone"] == 0
