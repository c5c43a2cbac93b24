"""However `psflow up` ends, `psflow down` leaves no process, no lock and no port behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from psflow.errors import ConfigurationError
from psflow.sandbox.postgres import OWN_SERVER
from psflow.sandbox.processes import marked
from psflow.sandbox.stack import Stack, project_root

pytestmark = pytest.mark.skipif(OWN_SERVER in os.environ, reason="a stack would fill the user's own server")


@pytest.fixture
def stack(place: Path) -> Iterator[Stack]:
    """Return a stack over a new folder; whatever a failed test left of it is stopped."""
    made = Stack(place / "state")
    yield made
    made.forget()


def begin(stack: Stack) -> subprocess.Popen[str]:
    """Start `psflow up` and return when it has started a good part of its services."""
    up = subprocess.Popen(
        [sys.executable, "-m", "psflow.cli", "up"], text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {"PSFLOW_STATE_DIR": str(stack.state)},
        # a shell starts what it runs in the background with Ctrl-C ignored, and that would be inherited
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    until = time.monotonic() + 60
    while not {"salesforce", "kantata", "postgres"} <= running(stack) or not alive(stack) - ours(stack):
        assert time.monotonic() < until and up.poll() is None, up.communicate()
        time.sleep(0.1)
    return up


def alive(stack: Stack) -> set[int]:
    return {process.pid for process in marked("PSFLOW_STACK", str(stack.state))}


def ours(stack: Stack) -> set[int]:
    return {row["pid"] for row in stack.status().values() if row["pid"]}


def running(stack: Stack) -> set[str]:
    return {name for name, row in stack.status().items() if row["running"]}


def test_a_killed_up_leaves_nothing_that_down_does_not_end(stack: Stack) -> None:
    up = begin(stack)
    up.send_signal(signal.SIGKILL)
    up.wait()
    assert running(stack)
    (stack.vendors.state_dir / "kantata.pid").unlink()  # killed before it could note what it had started
    stack.down()
    assert (running(stack), alive(stack)) == (set(), set())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_stops_what_it_started(stack: Stack, how: signal.Signals) -> None:
    up = begin(stack)
    up.send_signal(how)
    said, _ = up.communicate(timeout=60)
    assert up.returncode == 130
    assert "Traceback" not in said
    assert (running(stack), alive(stack)) == (set(), set())


def test_a_service_that_cannot_start_takes_the_others_down_and_is_named(stack: Stack) -> None:
    (stack.state / "vendors" / "kantata.sqlite").write_text("this is no database")
    with pytest.raises(ConfigurationError, match=r"vendors did not start: .*not a database"):
        stack.up()
    assert (running(stack), alive(stack)) == (set(), set())


def test_the_project_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert (project_root() / "psflow.yaml").exists()


def test_own_data_outlives_down_but_not_forget(stack: Stack) -> None:
    stack.postgres.start()
    stack.down()
    assert (stack.state / "postgres").exists()
    stack.forget()
    assert not (stack.state / "postgres").exists()
    with pytest.raises(ConfigurationError):
        Stack(Path("/dev/null/state"))
