"""A month is closed in Airflow by somebody who did not start the run, and its page shows what was signed."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import ApprovalOperator

from psflow.errors import ConfigurationError, GateFailed, NeedsReview
from psflow.flows import reconciliation
from psflow_airflow.operators.period import PeriodControlsOperator, PeriodRecheckOperator, PeriodSourceOperator
from psflow_airflow.operators.period_sign import PeriodReopenOperator, PeriodSignOperator
from tests.airflow.pages import Browse, browse, manager
from tests.airflow.test_pages import read
from tests.flows.conftest import ENTITY, Firm

__all__ = ["browse", "manager"]


def started(user: str | None = "fiona") -> Any:
    """A run that somebody triggered."""
    run = SimpleNamespace(
        run_id="manual__1", run_after=dt.datetime(2026, 11, 3, tzinfo=dt.UTC), triggering_user_name=user
    )
    return {"dag_run": run}


def answer(operator: Any, user: str, option: str = "Approve", **params: Any) -> Any:
    event = {
        "chosen_options": [option], "params_input": params, "responded_at": dt.datetime.now(dt.UTC),
        "responded_by_user": {"id": user, "name": user}, "timedout": False,
    }  # fmt: skip
    return operator.execute_complete(started(), event)


@pytest.fixture
def billed(firm: Firm, connections: None) -> Firm:
    """A firm that billed an hour of October, and whose documents and hours were read again."""
    firm.start()
    firm.log(1)
    firm.load_time()
    firm.bill()
    reconciliation.read_erp(firm.store, firm.erp)
    assert PeriodSourceOperator(task_id="read_source", period="").execute(started()) == {"time": 1, "expense": 0}
    return firm


def controls(user: str | None = "fiona") -> PeriodSignOperator:
    """Compute the controls and return the task that has them signed."""
    shown = PeriodControlsOperator(task_id="controls", legal_entity_id=ENTITY, period="").execute(started(user))
    return PeriodSignOperator(task_id="sign", **shown)  # type: ignore[arg-type]


def state(firm: Firm) -> str:
    return str(firm.store.value("select state from core.period where period = '2026-10'"))


def test_the_one_with_the_duty_is_asked_and_sees_each_control(billed: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ApprovalOperator, "execute", lambda self, context: None)
    asked = controls()
    asked.execute(started())
    assert asked.assigned_users == [{"id": "frank", "name": "frank"}]
    assert asked.subject == "Close MER-US 2026-10, version 1"
    assert all(f"| {name} |" in asked.body for name in ("K1", "K2", "K3", "K4", "K8", "K9", "K10", "K11", "K12", "K13"))
    answer(asked, "frank", content_hash=asked.content_hash, reason=None)
    assert state(billed) == "closed"
    assert asked.execute(started()) == {"decision": "signed before"}
    assert PeriodRecheckOperator(task_id="recheck").execute(started()) == {"signed": 1, "changed": 0}


def test_whoever_started_the_run_is_not_asked_so_the_close_holds(billed: Firm) -> None:
    with pytest.raises(
        ConfigurationError, match="lets nobody close periods of MER-US but P-102, who started the close"
    ):
        controls("frank").execute(started())


@pytest.mark.parametrize(
    ("user", "params", "why"),
    [
        ("frank", {"content_hash": "f00d"}, "is not to these controls"),
        ("frank", {}, "is not to these controls"),
        ("fiona", None, "may not close|and may not sign them"),
    ],
)
def test_an_answer_that_is_not_to_be_taken_closes_nothing(billed: Firm, user: str, params: Any, why: str) -> None:
    asked = controls()
    with pytest.raises(GateFailed, match=why):
        answer(asked, user, **(params if params is not None else {"content_hash": asked.content_hash}))
    assert state(billed) == "open"


def test_a_reject_is_red_and_says_why(billed: Firm) -> None:
    asked = controls()
    with pytest.raises(GateFailed, match="not signed by frank: wait for the bank"):
        answer(asked, "frank", "Reject", content_hash=asked.content_hash, reason="wait for the bank")
    assert state(billed) == "open"


def test_a_month_is_opened_again_with_a_reason(billed: Firm) -> None:
    asked = controls()
    answer(asked, "frank", content_hash=asked.content_hash)
    again = PeriodReopenOperator(task_id="reopen", legal_entity_id=ENTITY, period="2026-10")
    for option, reason in (("Approve", ""), ("Reject", "no")):
        with pytest.raises(GateFailed, match="it stays closed"):
            answer(again, "frank", option, reason=reason)
    with pytest.raises(GateFailed, match="fiona may not close or open"):
        answer(again, "fiona", reason="an hour is missing")
    answer(again, "frank", reason="an hour is missing")
    assert state(billed) == "open"


def test_a_month_that_changed_is_a_red_run_and_shows(billed: Firm, browse: Browse) -> None:
    asked = controls()
    answer(asked, "frank", content_hash=asked.content_hash)
    billed.erp.documents["1"]["state"] = "draft"
    reconciliation.read_erp(billed.store, billed.erp)
    with pytest.raises(NeedsReview, match="1 of 1 months are not as they were signed"):
        PeriodRecheckOperator(task_id="recheck").execute(started())
    page = read(browse("paula"), "/close")
    assert "changed" in page.partition("<tbody>")[2] and "signed by frank (P-102)" in page
    assert "K4 was 1 records" in read(browse("paula"), "/close/MER-US/2026-10")


def test_the_page_of_a_month_has_every_control_with_its_number_hash_query_and_signer(
    billed: Firm, browse: Browse
) -> None:
    client = browse("paula")
    assert "No controls yet" in read(client, "/close/MER-US/2026-10")
    billed.erp.documents["1"]["lines"][0]["amount"] = "999.00"
    reconciliation.read_erp(billed.store, billed.erp)
    asked = controls()
    page = read(client, "/close/MER-US/2026-10")
    assert "Nobody signed it yet" in page and asked.content_hash in page and "1 broken" in page
    assert "is another amount in the ERP" in page and "explain?id=MER-US.2026-10.1" in page
    answer(asked, "frank", content_hash=asked.content_hash, reason="the ERP is corrected <tomorrow>")
    page = read(client, "/close/MER-US/2026-10")
    assert "signed</b> by frank (P-102)" in page and "the ERP is corrected &lt;tomorrow&gt;" in page
    for row in billed.store.rows("select control, records, content_hash, query from finance.close_control"):
        assert f">{row['control']}<" in page and (row["content_hash"] or "")[:16] in page
    assert "from core.contract_term" in page
    read(client, "/close/MER-US/2026-10?version=2", 404)
    read(client, "/close/MER-XX/2026-10", 404)
