"""What a gate may do to a batch: hold a row, stop all of it, or say so; and every suite on real rows."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest

from psflow.errors import ConfigurationError, GateFailed
from psflow.flows import gate as judging
from psflow.flows import master_data
from psflow.gates import report, suite
from psflow.gates.suite import Check, ExpectationGate, FailingRow, Verdict
from tests.flows.conftest import Firm, PassGate

TIME = "time_expense/time_entry"
SUITES = sorted(
    f"{folder.name}/{file.name.removesuffix('.json')}"
    for folder in files("psflow_expectations").iterdir()
    if folder.is_dir()
    for file in folder.iterdir()
    if file.name.endswith(".json")
)


def test_there_is_a_suite_for_each_thing_that_is_judged() -> None:
    assert SUITES == [
        "billing/batch", "billing/charge", "master_data/customer", "master_data/rate_card", "master_data/resource",
        "metrics/metric", "time_expense/expense_entry", "time_expense/time_entry",
    ]  # fmt: skip


@pytest.mark.parametrize("name", SUITES)
def test_every_expectation_has_a_rule_a_reason_and_says_what_its_failure_means(name: str) -> None:
    plan = suite.load(name)  # refuses what does not
    assert plan["name"] == name and plan["meta"]["owner"]
    assert all(expectation["description"] for expectation in plan["expectations"])


Change = Callable[[dict[str, Any]], Any]


def changed(monkeypatch: pytest.MonkeyPatch, change: Change) -> None:
    """Run the suite of time with one change."""
    plan = copy.deepcopy(suite.load(TIME))
    change(plan)
    monkeypatch.setattr(suite, "load", lambda _: plan)


def on_fail(rule: str, means: str) -> Change:
    def change(plan: dict[str, Any]) -> None:
        (found,) = [e for e in plan["expectations"] if e["meta"]["rule"] == rule]
        found["meta"]["on_fail"] = means

    return change


@pytest.mark.parametrize(
    "wrong",
    [
        lambda plan: plan["expectations"][1]["meta"].pop("on_fail"),
        lambda plan: plan["expectations"][1]["meta"].update(on_fail="explode"),
        lambda plan: plan["expectations"][1]["meta"].update(rule="TE-00"),
        lambda plan: plan["meta"].pop("max_held_share"),
    ],
)
def test_a_suite_that_does_not_say_what_a_failure_means_is_refused(
    wrong: Change, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    plan = copy.deepcopy(suite.load(TIME))
    wrong(plan)
    (tmp_path / "wrong.json").write_text(json.dumps(plan))
    monkeypatch.setattr(suite, "files", lambda _: tmp_path)
    with pytest.raises(ConfigurationError, match="wrong.json"):
        suite.load("wrong")


@pytest.fixture
def loaded(firm: Firm) -> Firm:
    """A firm with three entries that nobody judged, one of 5,000 minutes."""
    firm.start()
    for number, minutes in ((1, 60), (2, 5000), (3, 60)):
        firm.log(number, minutes)
    return firm


def checks(firm: Firm) -> dict[str, tuple[str, str, int]]:
    rows = firm.store.rows("select rule, on_fail, outcome, failing_rows from ops.gate_check order by rule")
    return {r["rule"]: (r["on_fail"], r["outcome"], r["failing_rows"]) for r in rows}


def test_a_rule_that_holds_a_row_lets_the_rest_go_on(loaded: Firm, real_gate: ExpectationGate) -> None:
    assert loaded.load_time(real_gate) == {"passed": 2, "held": 1}
    assert checks(loaded)["TE-07"] == ("hold_row", "held", 1)
    assert checks(loaded)["TE-01"] == ("hold_row", "ok", 0)
    failing = loaded.store.rows("select record_id, field, value, rule from ops.gate_failure")
    assert failing == [{"record_id": "2", "field": "minutes", "value": "5000", "rule": "TE-07"}]


def test_a_rule_that_only_notes_lets_all_go_on(
    loaded: Firm, real_gate: ExpectationGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(monkeypatch, on_fail("TE-07", "note"))
    assert loaded.load_time(real_gate) == {"passed": 3, "held": 0}
    assert checks(loaded)["TE-07"] == ("note", "noted", 1)
    assert loaded.exceptions() == []


def test_a_rule_that_stops_the_batch_lets_nothing_go_on_and_says_which_rows(
    loaded: Firm, real_gate: ExpectationGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(monkeypatch, on_fail("TE-07", "stop_batch"))
    with pytest.raises(GateFailed, match="TE-07"):
        loaded.load_time(real_gate)
    assert loaded.store.value("select count(*) from core.time_entry_head where state = 'pending'") == 3
    assert checks(loaded)["TE-07"] == ("stop_batch", "failed", 1)
    assert loaded.store.value("select record_id from ops.gate_failure") == "2"
    run = loaded.store.row("select verdict, content_hash from ops.gate_run")
    assert run == {"verdict": "failed", "content_hash": loaded.store.value("select core.load_hash('1')")}


@pytest.mark.parametrize(("share", "from_rows", "stops"), [(0.3, 3, True), (0.3, 4, False), (0.34, 3, False)])
def test_more_held_rows_than_the_limit_stop_the_batch(
    loaded: Firm, real_gate: ExpectationGate, monkeypatch: pytest.MonkeyPatch, share: float, from_rows: int, stops: bool
) -> None:
    changed(monkeypatch, lambda plan: plan["meta"].update(max_held_share=share, held_share_from_rows=from_rows))
    if stops:
        with pytest.raises(GateFailed, match="1 of 3 rows would be held; the limit is 30%"):
            loaded.load_time(real_gate)
    else:
        assert loaded.load_time(real_gate) == {"passed": 2, "held": 1}


def test_a_stopped_load_goes_on_once_its_rows_are_corrected(
    loaded: Firm, real_gate: ExpectationGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(monkeypatch, on_fail("TE-07", "stop_batch"))
    with pytest.raises(GateFailed):
        loaded.load_time(real_gate)
    loaded.log(2, 50, updated_at="2026-11-01T00:00:00Z")
    assert loaded.load_time(real_gate) == {"passed": 3, "held": 0}


def test_a_load_in_which_nothing_is_billable_passes(firm: Firm, real_gate: ExpectationGate) -> None:
    firm.start()
    firm.log(1, billable=False)
    assert firm.load_time(real_gate) == {"passed": 1, "held": 0}


def test_a_verdict_prints_like_a_test_run_and_without_a_value() -> None:
    row = FailingRow("7", "minutes", "5000", "TE-07", "at most 24 hours")
    said = Verdict(
        100, 4, (row,),
        (
            Check("TE-00", "rows", "", "a load has entries", "stop_batch", "ok"),
            Check("TE-07", "between", "minutes", "at most 24 hours", "hold_row", "held", (row,)),
            Check("TE-08", "null", "role", "has a role", "note", "noted", (row, row)),
            Check("TE-09", "sum", "", "adds up", "stop_batch", "failed"),
        ),
        ("TE-09 (adds up): the batch as a whole",),
    )  # fmt: skip
    assert list(report.lines(TIME, "12", "0123456789abcdef", said)) == [
        "gate time_expense/time_entry on 12 (0123456789ab)",
        "  ok    TE-00  a load has entries",
        "  held  TE-07  minutes: at most 24 hours (1 rows)",
        "  note  TE-08  role: has a role (2 rows)",
        "  FAIL  TE-09  adds up",
        "4 checks: 1 ok, 1 held, 1 noted, 1 failed; 100 rows, 1 held",
        "STOP TE-09 (adds up): the batch as a whole",
    ]


def test_a_batch_that_changed_while_the_gate_looked_is_not_judged(loaded: Firm) -> None:
    hashes = iter(["a", "b"])
    with pytest.raises(GateFailed, match="changed while the gate looked"):
        judging.judge(loaded.store, PassGate(), TIME, "1", lambda: next(hashes))


# every suite on real rows


def test_the_suite_of_expenses_holds_what_has_no_receipt(firm: Firm, real_gate: ExpectationGate) -> None:
    firm.start()
    person = firm.store.value("select resource_id from core.resource")
    with firm.store.transaction("test"):
        load = firm.store.value("insert into core.time_load (entries) values (4) returning load_id")
        for number, receipt, billable, currency in (
            (1, True, True, "USD"), (2, False, True, "USD"), (3, None, True, "usd"), (4, False, False, "USD"),
        ):  # fmt: skip
            firm.store.run(
                "insert into core.expense_entry values (%(id)s, 1, %(load)s, '1', '7', '2026-10-05', 'Travel', 10, "
                "%(currency)s, %(billable)s, true, %(receipt)s, null, now(), 'P-1001', %(person)s)",
                id=str(number), load=load, currency=currency, billable=billable, receipt=receipt, person=person,
            )  # fmt: skip
    found = real_gate.run("time_expense/expense_entry", str(load))
    assert found.rows == 4 and found.stopped == ()
    assert {(row.key, row.rule) for row in found.failing} == {("2", "EE-08"), ("3", "EE-06"), ("3", "EE-09")}


def test_the_suite_of_batches_stops_a_line_in_another_currency_than_its_contract(
    loaded: Firm, real_gate: ExpectationGate
) -> None:
    loaded.load_time()
    batch = loaded.freeze()
    assert batch
    good = real_gate.run("billing/batch", batch)
    assert good.stopped == () and {(row.key, row.rule) for row in good.failing} == {("2", "BB-04")}
    with loaded.store.transaction("test"):
        loaded.store.run("update core.contract set currency = 'EUR'")
    assert [reason[:5] for reason in real_gate.run("billing/batch", batch).stopped] == ["BB-06"]


def test_master_data_that_is_wrong_is_an_exception_until_it_is_right_and_stops_nothing(
    firm: Firm, real_gate: ExpectationGate
) -> None:
    firm.start()
    with firm.store.transaction("test"):
        firm.store.run("update core.customer set name = ' - '")
        firm.store.run("update core.rate set hourly_rate = 2000 where valid_from = '2026-01-01'")
    wrong = {"master_data/customer": 1, "master_data/resource": 1, "master_data/rate_card": 1}
    assert master_data.check(firm.store, firm.config, real_gate) == wrong
    found = [(e["entity"], e["field"], e["owner_team"]) for e in firm.exceptions("master_data")]
    assert sorted(found) == [
        ("customer", "name", "data engineering"), ("rate_card", "hourly_rate", "data engineering"),
        ("resource", "capacity", "data engineering"),
    ]  # fmt: skip
    with firm.store.transaction("test"):
        firm.store.run("update core.customer set name = 'Acme'")
        firm.store.run("update core.rate set hourly_rate = 200 where valid_from = '2026-01-01'")
        firm.store.run(
            "insert into core.work_pattern select resource_id, '2026-01-01', '{8,8,8,8,8,0,0}' from core.resource"
        )
    assert set(master_data.check(firm.store, firm.config, real_gate).values()) == {0}
    assert firm.exceptions("master_data") == []


def test_no_master_data_yet_is_nothing_to_judge(firm: Firm) -> None:
    assert master_data.check(firm.store, firm.config, PassGate()) == {}
