"""Two people decide on a batch, each on exactly what they were shown; whatever else is answered posts nothing."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import ApprovalOperator

from psflow.errors import ConfigurationError, GateFailed
from psflow.flows import billing
from psflow_airflow.operators.billing_decision import BillingDecisionOperator
from tests.airflow.conftest import ROOT, context
from tests.flows.conftest import Firm

Checked = tuple[Firm, str, str]


def operator(step: Any, batch: str, content_hash: str) -> BillingDecisionOperator:
    return BillingDecisionOperator(task_id=step, step=step, batch_id=batch, content_hash=content_hash)


def answer(step: Any, checked: Checked, user: str, option: str = "Approve", **params: str) -> Any:
    """The scheduler resumes the task with what a person answered."""
    _, batch, shown = checked
    event = {
        "chosen_options": [option],
        "params_input": {"content_hash": shown} | params,
        "responded_at": dt.datetime.now(dt.UTC),
        "responded_by_user": {"id": user, "name": user},
        "timedout": False,
    }
    return operator(step, batch, shown).execute_complete(context("run-1"), event)


def state(checked: Checked) -> str:
    firm, batch, _ = checked
    return str(billing.find(firm.store, batch)["state"])


def decisions(checked: Checked) -> list[tuple[str, ...]]:
    rows = checked[0].store.rows(
        "select step, decision, person, airflow_user, run_id from ops.approval order by step desc"
    )
    return [tuple(row.values()) for row in rows]


def test_both_answers_are_stored_with_person_run_and_content(checked: Checked) -> None:
    said = answer("submit", checked, "fiona")
    assert said == {"step": "submit", "decision": "approved", "airflow_user": "fiona"}
    assert state(checked) == "submitted"
    answer("approve", checked, "frank")
    assert state(checked) == "approved"
    assert decisions(checked) == [
        ("submit", "approved", "P-101", "fiona", "run-1"),
        ("approve", "approved", "P-102", "frank", "run-1"),
    ]


@pytest.mark.parametrize("step", ["submit", "approve"])
def test_a_reject_is_stored_and_fails_the_task_with_its_reason(checked: Checked, step: str) -> None:
    if step == "approve":
        answer("submit", checked, "fiona")
    user = {"submit": "fiona", "approve": "frank"}[step]
    with pytest.raises(GateFailed, match=f"was rejected by {user}"):
        answer(step, checked, user, option="Reject")
    assert state(checked) == "rejected"
    assert decisions(checked)[-1][:2] == (step, "rejected")


def test_a_rejected_batch_asks_nobody_again(checked: Checked) -> None:
    with pytest.raises(GateFailed):
        answer("submit", checked, "fiona", option="Reject")
    with pytest.raises(GateFailed, match="is rejected; nobody can submit it any more"):
        operator("submit", *checked[1:]).execute(context())


def test_the_preparer_may_not_approve(checked: Checked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    policy = tmp_path / "psflow.yaml"
    text = (ROOT / "psflow.yaml").read_text()
    policy.write_text(text.replace("airflow_user: fiona, teams: [finance], may: [submit]",
                                   "airflow_user: fiona, teams: [finance], may: [submit, approve]"))  # fmt: skip
    monkeypatch.setenv("PSFLOW_CONFIG", str(policy))
    answer("submit", checked, "fiona")
    with pytest.raises(GateFailed, match="P-101 may not both submit and approve"):
        answer("approve", checked, "fiona")
    assert state(checked) == "submitted" and len(decisions(checked)) == 1


@pytest.mark.parametrize("user", ["frank", "paula", "admin"])
def test_a_person_who_may_not_is_refused_whatever_airflow_let_through(checked: Checked, user: str) -> None:
    with pytest.raises((GateFailed, ConfigurationError), match=user):
        answer("submit", checked, user)
    assert state(checked) == "checked" and decisions(checked) == []


def test_an_answer_to_other_content_is_refused(checked: Checked) -> None:
    with pytest.raises(GateFailed, match="the answer is to f00d"):
        answer("submit", checked, "fiona", content_hash="f00d")
    assert state(checked) == "checked" and decisions(checked) == []


def test_an_answer_that_does_not_say_to_what_is_refused(checked: Checked) -> None:
    _, batch, shown = checked
    event = {"chosen_options": ["Approve"], "params_input": {}, "responded_at": dt.datetime.now(dt.UTC)}
    with pytest.raises(GateFailed, match="lacks content_hash"):
        operator("submit", batch, shown).execute_complete(
            context(), event | {"responded_by_user": {"id": "fiona", "name": "fiona"}}
        )
    with pytest.raises(GateFailed, match="nobody is named"):
        operator("submit", batch, shown).execute_complete(context(), event | {"responded_by_user": None})
    assert decisions(checked) == []


def test_content_that_changed_after_the_question_is_refused(checked: Checked) -> None:
    firm, batch, _ = checked
    with firm.store.transaction("test"):  # one more entry is held: the batch would bill less than was shown
        firm.store.run("insert into billing.batch_hold (batch_id, entry_key) values (%(batch)s, '1')", batch=batch)
    with pytest.raises(GateFailed, match="its hash is not the one that was shown"):
        answer("submit", checked, "fiona")
    assert decisions(checked) == []


def test_a_batch_that_is_not_what_its_gate_saw_asks_nobody(checked: Checked) -> None:
    with pytest.raises(GateFailed, match="is not what its gate saw"):
        operator("submit", checked[1], "f00d").execute(context())


def test_a_stale_batch_asks_nobody(checked: Checked) -> None:
    firm, batch, shown = checked
    firm.log(2, 30)
    firm.load_time()
    assert firm.freeze() != batch
    with pytest.raises(GateFailed, match="is stale"):
        operator("submit", batch, shown).execute(context())


@pytest.mark.parametrize("step", ["submit", "approve"])
def test_a_step_that_was_decided_is_not_asked_again(checked: Checked, step: str) -> None:
    answer("submit", checked, "fiona")
    answer("approve", checked, "frank")
    assert operator(step, *checked[1:]).execute(context()) == {"step": step, "decision": "decided before"}
    assert len(decisions(checked)) == 2


def test_nobody_may_so_the_batch_holds(checked: Checked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    policy = tmp_path / "psflow.yaml"
    policy.write_text((ROOT / "psflow.yaml").read_text().replace("may: [submit]", "may: []"))
    monkeypatch.setenv("PSFLOW_CONFIG", str(policy))
    with pytest.raises(ConfigurationError, match="lets nobody submit"):
        operator("submit", *checked[1:]).execute(context())
    assert state(checked) == "checked"


def test_no_answer_can_be_given_by_default(checked: Checked) -> None:
    with pytest.raises(TypeError, match="defaults"):
        BillingDecisionOperator(task_id="x", step="submit", batch_id="b", content_hash="h", defaults="Approve")
    made = operator("submit", *checked[1:])
    assert isinstance(made, ApprovalOperator) and made.fail_on_reject
    assert made.defaults is None and made.response_timeout is None
