"""Whole DAG runs against the sandboxes, a real Tryton and a real Postgres, in this process."""

from __future__ import annotations

import copy
import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest

from psflow.sandbox.tryton import TrytonServer
from tests.airflow.conftest import set_connection
from tests.flows.conftest import Firm

Run = Callable[..., dict[str, str]]


@pytest.fixture
def run(dags: dict[str, Any], airflow_db: None, connections: None, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a DAG to its end and return task -> state; a mapped task counts as `task[index]`. No run is there before."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(DagRun))
    for task in (task for dag in dags.values() for task in dag.tasks if not task.is_mapped):
        monkeypatch.setattr(task, "retry_delay", dt.timedelta(seconds=0.1))
    for dag in dags.values():  # a run leaves its conf in them
        monkeypatch.setattr(dag, "params", copy.deepcopy(dag.params))

    def start(dag_id: str, **conf: Any) -> dict[str, str]:
        ended = dags[dag_id].test(run_conf=conf)
        names = {t: t.task_id if t.map_index < 0 else f"{t.task_id}[{t.map_index}]" for t in ended.get_task_instances()}
        return {name: str(t.state) for t, name in names.items()} | {"run": str(ended.state)}

    return start


@contextmanager
def people_answer(*answers: tuple[str, str, str]) -> Iterator[list[Any]]:
    """Answer (task, user, option) in this order through Airflow's own route, each once the task asks."""
    said: list[Any] = []
    thread = threading.Thread(target=lambda: [said.append(_answer(*answer)) for answer in answers], daemon=True)
    thread.start()
    yield said
    thread.join(20)


def _answer(task_id: str, user: str, option: str) -> Any:
    from airflow.api_fastapi.app import create_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
    from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from fastapi import HTTPException
    from sqlalchemy import select

    create_auth_manager()
    until = time.monotonic() + 60
    while time.monotonic() < until:
        time.sleep(0.2)
        with create_session() as session:
            asked = session.scalar(
                select(HITLDetail)
                .join(TaskInstance, TaskInstance.id == HITLDetail.ti_id)
                .where(TaskInstance.task_id == task_id, TaskInstance.state == "awaiting_input")
            )
            if asked is None:
                continue
            task, shown = asked.task_instance, asked.params["content_hash"]["value"]
            said = {"subject": asked.subject, "body": asked.body, "assigned": asked.assigned_users}
            payload = UpdateHITLDetailPayload(chosen_options=[option], params_input={"content_hash": shown})
            try:
                update_hitl_detail(
                    task.dag_id,
                    task.run_id,
                    task_id,
                    payload,
                    SimpleAuthManagerUser(username=user, role="user"),
                    session,
                )
            except HTTPException as error:
                return said | {"refused": error.status_code}
            return said
    return "nobody was asked"


@pytest.fixture
def erp(monkeypatch: pytest.MonkeyPatch, connections: None, tryton_server: TrytonServer) -> TrytonServer:
    """The connection to a real Tryton."""
    set_connection(
        monkeypatch, "psflow_tryton", conn_type="psflow_tryton", host=tryton_server.url, login=tryton_server.login,
        password=tryton_server.password, extra={"database": tryton_server.database, "company": tryton_server.company},
    )  # fmt: skip
    return tryton_server


def runs_of(dag_id: str) -> dict[str, str]:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return {run.run_id: str(run.state) for run in session.scalars(select(DagRun).where(DagRun.dag_id == dag_id))}


def label_of(task_id: str) -> str | None:
    """What the grid calls a mapped task."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return session.scalars(select(TaskInstance).where(TaskInstance.task_id == task_id)).one().rendered_map_index


def links_of(dag_id: str) -> dict[str, str]:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(
            select(XComModel).where(XComModel.dag_id == dag_id, XComModel.key == "_link_RecordLink")
        )
        return {x.task_id: str(x.value) for x in found}


def test_a_won_deal_becomes_a_tied_out_invoice(
    run: Run, firm: Firm, erp: TrytonServer, app_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    firm.win()
    assert run("sync_kantata")["run"] == "success"
    assert run("sync_salesforce") == {
        "pull": "success", "close_lost": "success", "due": "success", "activate[0]": "success", "run": "success",
    }  # fmt: skip
    (run_id,) = runs_of("activation")
    assert label_of("activate") == run_id
    engagement, _, epoch = run_id.partition(".")
    activation = run("activation", engagement_id=engagement, epoch=int(epoch))
    assert set(activation.values()) == {"success"} and len(activation) == 6
    links = links_of("activation")
    assert links.pop("create_in_erp").startswith(f"{erp.url}/{erp.database}/r/base/data/project.work")
    assert links == {"create_in_psa": "https://app.mavenlink.com/workspaces/1",
                     "finish": f"{firm.salesforce.url}/lightning/r/Opportunity/006000000000001AAA/view"}  # fmt: skip

    firm.log(1, 90, date_performed="2026-10-15")
    firm.log(2, 90, date_performed="2026-10-16")
    firm.log(3, 1560)  # 26 hours in a day
    time_expense = run("time_expense")
    assert time_expense.pop("post_time") == "skipped"  # psflow makes the invoices, not the ERP
    assert set(time_expense.values()) == {"success"} and len(time_expense) == 5
    conf = {"legal_entity_id": "MER-US", "period": "2026-10"}
    with people_answer(
        ("submit", "frank", "Approve"), ("submit", "fiona", "Approve"), ("approve", "frank", "Approve")
    ) as said:
        billing = run("billing", **conf)
    assert set(billing.values()) == {"success"} and len(billing) == 10
    stranger, preparer, approver = said
    assert stranger["refused"] == 403  # Airflow itself lets only the assigned people answer
    assert [a["id"] for a in preparer["assigned"]] == ["fiona"] and [a["id"] for a in approver["assigned"]] == ["frank"]
    assert approver["subject"] == "Approve billing batch MER-US.2026-10.1: 570.75 USD"
    for shown in ("| Period | 2026-10 |", "| Projects | 1 |", "| Charges | 2 |", "| Invoiced on | 2026-10-31 |"):
        assert shown in approver["body"]
    assert "Acme" not in approver["subject"] + approver["body"]  # no customer's name where everybody may look
    assert run("reconciliation") == {
        "read_erp": "success", "tie_out": "success", "transfer": "success", "recheck": "success", "run": "success"
    }  # fmt: skip
    (posted,) = firm.store.rows("select state, untaxed_amount, currency from core.erp_invoice")
    assert (posted["state"], posted["untaxed_amount"], posted["currency"]) == ("posted", Decimal("570.75"), "USD")

    again = run("billing", **conf)
    assert again.pop("run") == "success" and set(again.values()) == {"skipped"}
    assert run("sync_salesforce") == {
        "pull": "success", "close_lost": "success", "due": "success", "activate": "skipped", "run": "success",
    }  # fmt: skip

    with people_answer(("sign", "fiona", "Approve"), ("sign", "frank", "Approve")) as said:
        closed = run("close", **conf)
    assert set(closed.values()) == {"success"} and len(closed) == 6
    assert said[0]["refused"] == 403 and said[1]["subject"] == "Close MER-US 2026-10, version 1"
    assert {row["result"] for row in firm.store.rows("select result from finance.close_control")} == {"tied"}
    assert firm.store.value("select state from core.period where period = '2026-10'") == "closed"

    logged = "".join(capfd.readouterr())
    assert "Task instance state updated" in logged
    for secret in ("swordfish", erp.password, str(urlsplit(app_url).password), "Acme"):
        assert secret not in logged


def test_a_blocked_deal_is_a_red_run_that_says_why_and_runs_again_once_it_is_fixed(
    run: Run, firm: Firm, capfd: pytest.CaptureFixture[str]
) -> None:
    firm.win(Legal_Entity__c="Meridian Mars")
    run("sync_kantata")
    assert run("sync_salesforce")["activate[0]"] == "success"
    (run_id,) = runs_of("activation")
    engagement, _, epoch = run_id.partition(".")
    capfd.readouterr()
    assert run("activation", engagement_id=engagement, epoch=int(epoch)) == {
        "gates": "failed", "create_in_erp": "upstream_failed", "create_in_psa": "upstream_failed",
        "create_in_planner": "upstream_failed", "finish": "upstream_failed", "run": "failed",
    }  # fmt: skip
    logged = "".join(capfd.readouterr())
    (failure,) = [line for line in logged.splitlines() if "Task failed with exception" in line]  # and no second try
    assert f"engagement_id={engagement}" in failure
    assert f"{engagement} is blocked: legal_entity 'Meridian Mars' is not one we map" in logged

    finished(run_id)
    assert run("sync_salesforce")["activate"] == "skipped"  # still wrong
    firm.win(Legal_Entity__c="Meridian US")
    assert run("sync_salesforce")["activate[0]"] == "success"
    assert runs_of("activation")[run_id] == "queued"


def finished(run_id: str) -> None:
    """Let the run that the sync queued end as the one did that was run here in its place."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.run_id == run_id).values(state="failed"))


def test_a_step_that_fails_for_good_leaves_an_exception_with_its_owner(
    run: Run, firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    firm.win()
    firm.sync()
    monkeypatch.delenv("AIRFLOW_CONN_PSFLOW_TRYTON")
    assert run("activation", engagement_id="E-1001", epoch=1)["create_in_erp"] == "failed"
    (found,) = firm.exceptions()
    assert (found["record_id"], found["field"]) == ("E-1001.1", "create_in_erp")
    assert found["owner_team"] == "data engineering"
    assert "Airflow has no connection 'psflow_tryton'" in found["message"]


def test_a_deal_whose_run_is_there_is_skipped(run: Run, firm: Firm) -> None:
    firm.win()
    run("sync_kantata")
    assert run("sync_salesforce")["activate[0]"] == "success"
    assert run("sync_salesforce")["activate[0]"] == "skipped"  # still won: its run has not begun
    assert len(runs_of("activation")) == 1


def test_a_rejected_batch_is_a_red_run_and_nobody_is_asked_twice(
    run: Run, checked: tuple[Firm, str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    with people_answer(("submit", "fiona", "Reject")):
        ended = run("billing", legal_entity_id="MER-US", period="2026-10")
    after = ("approve", "approve_again", "release", "draft", "read_back", "post")
    assert ended == {"freeze": "success", "gate": "success", "submit": "failed", "run": "failed"} | dict.fromkeys(
        after, "upstream_failed"
    )
    logged = "".join(capfd.readouterr())
    assert logged.count("Task failed with exception") == 1
    assert "was rejected by fiona; nothing is posted" in logged and "batch_id=MER-US.2026-10.2" in logged


def test_what_passes_by_itself_is_tried_again(run: Run, firm: Firm, capfd: pytest.CaptureFixture[str]) -> None:
    firm.kantata.arm("GET /api/v1/users", "throttle", 4)  # as often as one read is tried
    assert run("sync_kantata") == {"pull": "success", "run": "success"}
    logged = "".join(capfd.readouterr())
    assert logged.count("Task failed with exception") == 1
    assert "nothing was written; try again" in logged


def test_a_missing_connection_is_named_and_not_tried_again(
    run: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_PSFLOW_KANTATA")
    assert run("sync_kantata") == {"pull": "failed", "run": "failed"}
    logged = "".join(capfd.readouterr())
    assert "Airflow has no connection 'psflow_kantata'" in logged
    assert logged.count("Task failed with exception") == 1
