"""Airflow as the stack runs it: four processes, loopback only, people with roles, and an end that leaves nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from psflow.errors import ConfigurationError, Rejected
from psflow.sandbox.airflow import COMPONENTS, USERS, Airflow
from psflow.sandbox.postgres import Server
from psflow.sandbox.processes import marked

DAGS = {
    "greeting.py": """
from airflow.sdk import dag, task

@dag(schedule=None)
def greeting():
    @task
    def greet():
        print("good morning")
        return {"n": 1}
    greet()

greeting()
""",
    "sign_off.py": """
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG

with DAG("sign_off", schedule=None):
    ApprovalOperator(
        task_id="approve", subject="Post the batch", assigned_users=[{"id": "frank", "name": "frank"}],
        fail_on_reject=True,
    )
""",
}


@pytest.fixture(scope="module")
def airflow(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """Run Airflow over two DAGs, once a third that does not import is gone, in a shell set up for another Airflow."""
    project = tmp_path_factory.mktemp("a project")
    for folder in ("dags", "plugins"):
        (project / folder).mkdir()
    (project / "plugins" / ".airflowignore").write_text("*\n")
    for name, text in DAGS.items():
        (project / "dags" / name).write_text(text)
    with pytest.MonkeyPatch.context() as shell:
        shell.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "True")
        shell.setenv("AIRFLOW__CORE__DAGS_FOLDER", "/nowhere")
        shell.setenv("AIRFLOW_HOME", "/nowhere")
        server = Airflow(project / "state", postgres, project)
        broken = project / "dags" / "broken.py"
        broken.write_text("from airflow.sdk import no_such_name  # a dag\n")
        with pytest.raises(ConfigurationError, match=r"(?s)dags/broken\.py does not import: .*no_such_name"):
            server.start()
        broken.unlink()
        server.start()
        yield server
        server.stop()
    assert marked("AIRFLOW_HOME", str(server.home)) == []


def test_all_four_beat_and_only_our_dags_are_there(airflow: Airflow) -> None:
    assert set(airflow.components()) == set(COMPONENTS)
    assert airflow.healthy()
    dags = {dag["dag_id"]: dag["is_paused"] for dag in airflow.api("paula").dags()}
    assert dags == {"greeting": False, "sign_off": False}


def test_nothing_listens_beyond_this_machine(airflow: Airflow) -> None:
    processes = marked("AIRFLOW_HOME", str(airflow.home))
    listening = {c.laddr for p in processes for c in p.net_connections("inet") if c.status == "LISTEN"}
    assert {(address.ip, f"http://127.0.0.1:{address.port}") for address in listening} == {("127.0.0.1", airflow.url)}


def test_what_must_stay_secret_is_read_by_its_owner_only(airflow: Airflow) -> None:
    for name in ("keys.json", "passwords.json"):
        assert (airflow.home / name).stat().st_mode & 0o777 == 0o600
    assert set(airflow.passwords) == set(USERS)


def test_an_engineer_runs_a_dag_and_the_pmo_only_looks(airflow: Airflow) -> None:
    engineer, paula = airflow.api("engineer"), airflow.api("paula")
    run_id = engineer.trigger("greeting", run_id="E-1.1")
    assert run_id == "E-1.1"
    assert engineer.wait("greeting", run_id, 60) == "success"
    assert [t["state"] for t in paula.task_instances("greeting", run_id)] == ["success"]
    assert any("good morning" in line for line in paula.log("greeting", run_id, "greet"))
    assert paula.xcom("greeting", run_id, "greet") == {"n": 1}
    with pytest.raises(Rejected) as twice:
        engineer.trigger("greeting", run_id=run_id)
    assert twice.value.code == "409"
    with pytest.raises(Rejected) as refused:
        paula.trigger("greeting")
    assert refused.value.code == "403"
    assert engineer.clear("greeting", run_id) == ["greet"]
    assert engineer.wait("greeting", run_id, 60) == "success"
    assert [t["try_number"] for t in paula.task_instances("greeting", run_id)] == [2]


def test_a_required_action_is_answered_by_the_one_it_is_assigned_to(airflow: Airflow) -> None:
    frank, fiona = airflow.api("frank"), airflow.api("fiona")
    run_id = fiona.trigger("sign_off")
    until = time.monotonic() + 60
    while not (actions := frank.required_actions("sign_off", run_id)) and time.monotonic() < until:
        time.sleep(0.3)
    assert [a["subject"] for a in actions] == ["Post the batch"]
    with pytest.raises(Rejected) as refused:
        fiona.answer("sign_off", run_id, "approve", "Approve")
    assert refused.value.code == "403"
    frank.answer("sign_off", run_id, "approve", "Approve")
    assert frank.wait("sign_off", run_id, 60) == "success"
    assert frank.required_actions("sign_off", run_id) == []


def test_connections_and_pools_are_set_twice_to_the_same(airflow: Airflow) -> None:
    api = airflow.api("engineer")
    for port in (1, 2):
        api.put_connections([{"connection_id": "erp", "conn_type": "http", "host": "127.0.0.1", "port": port}])
        api.put_pools({"gx": 1})
    assert [(c["connection_id"], c["port"]) for c in api.connections()] == [("erp", 2)]


def test_a_second_start_of_what_runs_changes_nothing(airflow: Airflow) -> None:
    before = airflow.components()
    airflow.start()
    assert airflow.components() == before
