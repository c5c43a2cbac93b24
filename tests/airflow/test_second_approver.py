"""A batch over the limit asks a second person; a reject keeps its reason; who is missing or late, the batch holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.exceptions import HITLTimeoutError

from psflow.errors import ConfigurationError, GateFailed
from psflow.flows import billing_plan
from psflow_airflow.operators.billing_decision import BillingDecisionOperator
from tests.airflow.conftest import ROOT, context
from tests.airflow.test_billing_decision import Checked, answer, operator, state

LIMIT = ("approval: {}", "approval: {second_approver_above: {USD: 1}}")
PETRA = ("airflow_user: petra, teams: [pmo], may: [exceptions]", "airflow_user: petra, teams: [pmo], may: [approve]")


def policy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *changes: tuple[str, str]) -> None:
    """The firm's psflow.yaml, with something else in it."""
    text = (ROOT / "psflow.yaml").read_text()
    for was, becomes in changes:
        assert was in text
        text = text.replace(was, becomes)
    (tmp_path / "psflow.yaml").write_text(text)
    monkeypatch.setenv("PSFLOW_CONFIG", str(tmp_path / "psflow.yaml"))


def asked(step: Any, checked: Checked, monkeypatch: pytest.MonkeyPatch) -> BillingDecisionOperator:
    """Return the task as it asks people."""
    made = operator(step, *checked[1:])
    monkeypatch.setattr(BillingDecisionOperator.__mro__[1], "execute", lambda self, context: None)
    made.execute(context())
    return made


def test_the_question_leads_to_the_plan_and_carries_its_hash(checked: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    firm, batch, shown = checked
    made = asked("submit", checked, monkeypatch)
    assert f"/psflow/plan/{batch})" in made.body
    assert str(billing_plan.of(firm.store, batch).plan_hash) in made.body and shown in made.body
    assert set(made.params) == {"content_hash", "reason"} and made.params["reason"] == ""


def test_above_the_limit_the_second_question_is_put_to_others(
    checked: Checked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    policy(monkeypatch, tmp_path, LIMIT, PETRA)
    answer("submit", checked, "fiona")
    assert [u["id"] for u in asked("approve", checked, monkeypatch).assigned_users or ()] == ["frank", "petra"]
    answer("approve", checked, "frank")
    assert state(checked) == "submitted"
    assert [u["id"] for u in asked("approve", checked, monkeypatch).assigned_users or ()] == ["petra"]
    answer("approve", checked, "petra")
    assert state(checked) == "approved"


def test_below_the_limit_the_second_question_is_not_put(checked: Checked) -> None:
    answer("submit", checked, "fiona")
    answer("approve", checked, "frank")
    assert operator("approve", *checked[1:]).execute(context())["decision"] == "decided before"


def test_nobody_is_left_to_approve_so_the_batch_holds(
    checked: Checked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    policy(monkeypatch, tmp_path, LIMIT)
    answer("submit", checked, "fiona")
    answer("approve", checked, "frank")
    with pytest.raises(ConfigurationError, match="holds: psflow.yaml lets nobody approve .*P-102: decided on it"):
        operator("approve", *checked[1:]).execute(context())
    assert state(checked) == "submitted"


def test_the_reason_of_a_reject_is_stored(checked: Checked) -> None:
    firm, batch, _ = checked
    with pytest.raises(GateFailed, match="was rejected by fiona: wrong project"):
        answer("submit", checked, "fiona", option="Reject", reason="wrong project")
    assert [d["reason"] for d in billing_plan.decisions(firm.store, batch)] == ["wrong project"]


def test_a_time_out_holds(checked: Checked) -> None:
    event = {"error": "nobody answered in time", "error_type": "timeout"}
    with pytest.raises(HITLTimeoutError):
        operator("submit", *checked[1:]).execute_complete(context(), event)
    assert state(checked) == "checked"
