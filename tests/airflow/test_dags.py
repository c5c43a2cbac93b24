"""What must be true of every DAG: cheap to read, thin, with a runbook a task, and no run that nobody asked for."""

from __future__ import annotations

import datetime as dt
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "dags").glob("*.py"))
IDS = [file.stem for file in FILES]
SCHEDULED = {
    "sync_salesforce", "sync_kantata", "sync_bamboohr", "sync_float", "sync_tryton", "staffing", "time_expense",
    "reconciliation", "metrics", "alerts", "digest",
}  # fmt: skip

PARSE = """
import json, runpy, sys, time
import airflow.sdk
from airflow.sdk import DAG, BaseOperator, CronTriggerTimetable, ExceptionRetryPolicy, Param
began = time.process_time()
for file in sys.argv[1:]:
    runpy.run_path(file)
heavy = ("great_expectations", "pandas", "scipy", "numpy", "psycopg", "psycopg2", "requests", "aiohttp")
print(json.dumps({"cpu_s": time.process_time() - began, "loaded": [name for name in heavy if name in sys.modules]}))
"""


def test_every_file_is_a_dag_of_its_name_and_opens_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.dag_processing.dagbag import DagBag

    def refuse(*_: Any) -> None:
        raise AssertionError("a DAG file opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    bag = DagBag(dag_folder=str(ROOT / "dags"))
    assert bag.import_errors == {}
    assert sorted(bag.dags) == IDS


def test_reading_the_dags_loads_nothing_heavy(record_property: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARSE, *map(str, FILES)], capture_output=True, text=True, check=True, timeout=60
    )
    found = json.loads(done.stdout.splitlines()[-1])
    record_property("dag_folder_cpu_s", found["cpu_s"])
    print(f"the DAG folder costs {found['cpu_s']:.2f} s CPU after airflow.sdk")
    assert found["loaded"] == []


@pytest.mark.parametrize("dag_id", IDS)
def test_a_dag_is_thin_and_says_what_to_do_when_each_task_fails(dags: dict[str, Any], dag_id: str) -> None:
    dag = dags[dag_id]
    assert len((ROOT / "dags" / f"{dag_id}.py").read_text().splitlines()) < 60
    assert "If it fails" in dag.doc_md
    for task in dag.tasks:
        assert f"**`{task.task_id}`**" in dag.doc_md, f"{dag_id} has no runbook for {task.task_id}"


@pytest.mark.parametrize("dag_id", IDS)
def test_a_dag_names_process_owner_and_what_it_writes(dags: dict[str, Any], dag_id: str) -> None:
    dag = dags[dag_id]
    kinds = {tag.partition(":")[0] for tag in dag.tags}
    assert kinds == {"process", "writes", "owner"}
    assert {f"owner:{task.owner}" for task in dag.tasks} == {tag for tag in dag.tags if tag.startswith("owner:")}
    process = dag_id.split("_")[0] if dag_id.startswith("sync_") else dag_id
    assert f"process:{process}" in dag.tags


@pytest.mark.parametrize("dag_id", IDS)
def test_every_task_is_retried_by_what_went_wrong(dags: dict[str, Any], dag_id: str) -> None:
    from psflow_airflow.recovery import RECOVERY

    for task in dags[dag_id].tasks:
        policy = getattr(task, "retry_policy", None) or task.partial_kwargs["retry_policy"]
        assert policy is RECOVERY and task.retries == 8
        assert task.pool == "default_pool"  # a pool that nobody made would hold a task for ever, in silence


@pytest.mark.parametrize("dag_id", IDS)
def test_one_run_at_a_time_except_one_a_deal_and_one_a_legal_entity(dags: dict[str, Any], dag_id: str) -> None:
    assert (dags[dag_id].max_active_runs == 1) == (dag_id not in ("activation", "billing", "close", "reopen"))


@pytest.mark.parametrize("dag_id", IDS)
def test_a_new_deployment_runs_nothing_at_its_start(dags: dict[str, Any], dag_id: str) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    dag = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dags[dag_id]))
    now = dt.datetime.now(dt.UTC)
    first = dag.next_dagrun_info(last_automated_run_info=None)
    assert (first is not None) == (dag_id in SCHEDULED)
    assert first is None or first.run_after > now - dt.timedelta(minutes=1)


@pytest.mark.parametrize(
    ("dag_id", "param"),
    [
        ("activation", "engagement_id"),
        ("activation", "epoch"),
        ("billing", "legal_entity_id"),
        ("close", "legal_entity_id"),
        ("reopen", "legal_entity_id"),
        ("reopen", "period"),
    ],
)
def test_a_run_without_its_subject_is_refused(dags: dict[str, Any], dag_id: str, param: str) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dags[dag_id].params.get_param(param).resolve()


@pytest.mark.parametrize("period", ["2026-13", "October", "2026-1"])
def test_a_period_that_is_no_month_is_refused(dags: dict[str, Any], period: str) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dags["billing"].params.get_param("period").resolve(value=period)
