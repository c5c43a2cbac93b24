"""`psflow` while nothing runs: from any folder, clear words, exit codes for scripts, never a traceback."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from psflow.sandbox.postgres import OWN_SERVER


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state of mine"


def psflow(*words: str, state: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command from the root folder, without a terminal."""
    command = [sys.executable, "-m", "psflow.cli", *words]
    inherited = {name: value for name, value in os.environ.items() if name != OWN_SERVER}
    done = subprocess.run(
        command, cwd="/", capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60,
        env=inherited | {"PSFLOW_STATE_DIR": str(state)} | env,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done


def test_status_of_a_stack_that_is_down_says_how_to_start_it(state: Path) -> None:
    done = psflow("status", state=state)
    assert done.returncode == 1
    assert "the stack is down; start it with `psflow up`" in done.stderr
    assert "\x1b" not in done.stdout


def test_status_as_json_names_every_service(state: Path) -> None:
    done = psflow("status", "--json", state=state)
    rows = json.loads(done.stdout)
    assert set(rows) == {"postgres", "salesforce", "kantata", "bamboohr", "float", "tryton", "airflow"}
    assert all({"running", "pid", "url", "healthy"} <= set(row) for row in rows.values())
    assert not any(row["running"] or row["healthy"] for row in rows.values())


def test_down_of_a_stack_that_is_down_is_no_failure(state: Path) -> None:
    done = psflow("down", state=state)
    assert (done.returncode, done.stdout) == (0, "nothing was running\n")


def test_migrate_needs_the_stack_or_a_database(state: Path) -> None:
    done = psflow("migrate", state=state)
    assert done.returncode == 1
    assert done.stderr.startswith("error the stack is down")


def test_the_doctor_fails_with_a_hint_while_the_stack_is_down(state: Path) -> None:
    done = psflow("doctor", state=state)
    assert done.returncode == 1
    assert "FAIL airflow" in done.stdout
    assert "psflow up" in done.stdout


def test_the_doctor_places_a_mistake_in_psflow_yaml(state: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "psflow.yaml"
    wrong.write_text("region: eu-west\npeople: nobody\n")
    done = psflow("doctor", "--json", state=state, PSFLOW_CONFIG=str(wrong))
    assert done.returncode == 1
    (finding,) = [f for f in json.loads(done.stdout) if f["check"] == "psflow.yaml"]
    assert not finding["ok"]
    assert f"{wrong}:2:" in finding["found"]


def test_a_log_that_is_not_there_is_refused_with_those_that_are(state: Path) -> None:
    (state / "vendors").mkdir(parents=True)
    (state / "vendors" / "kantata.log").write_text("one\ntwo\nthree\n")
    assert psflow("logs", "kantata", "-n", "2", state=state).stdout == "two\nthree\n"
    done = psflow("logs", "netsuite", state=state)
    assert done.returncode == 1
    assert "no log of 'netsuite'; there is kantata" in done.stderr


def test_two_starts_do_not_meet(state: Path) -> None:
    state.mkdir()
    with (state / "stack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = psflow("up", state=state)
    assert done.returncode == 1
    assert "another psflow starts or stops the stack" in done.stderr
    assert not (state / "postgres" / "data").exists()


def test_a_state_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = psflow("status", state=tmp_path / "file" / "state")
    assert done.returncode == 1
    assert "set PSFLOW_STATE_DIR to a folder of yours" in done.stderr
