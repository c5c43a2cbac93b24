"""A firm keeps a system of its own in a package of its own: it is found, it is tested, and a broken one says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ADAPTER = '''
"""A time clock on the wall, as a PSA that knows projects and tasks."""

import datetime as dt
import json
import os

from psflow.contracts import Task, VendorProfile
from psflow.errors import ConfigurationError, NeedsReview, TransientError, UncertainOutcome
from psflow.systems import BadRow, Page, Pulled, Registration

REGISTRATION = Registration(
    key="wallclock", role="psa", name="Wall clock", conn_type="wallclock", api_version="1",
    capabilities=frozenset({"create_project"}), streams=frozenset({"task"}),
)
DEFECT = os.environ.get("DEFECT")


class WallClock:
    key, instance = "wallclock", "lobby"
    profile = VendorProfile(lookup="search", deadline_s=1, late_landing_s=0, search_lag_s=0, lease_s=3)

    def __init__(self, password="right"):
        self.password, self.projects, self.loses, self.reads = password, [], False, 0
        self.held = [{"id": str(n), "title": f"T{n}", "at": f"2026-11-0{n}T08:00:00+00:00"} for n in range(1, 6)]

    def __repr__(self):
        return f"WallClock({self.password})" if DEFECT == "shows its secret" else "WallClock()"

    def tasks(self, since):
        if self.password != "right":
            raise TransientError("wallclock: answered 401")
        self.reads += 1
        shown = [row for row in self.held if since is None or dt.datetime.fromisoformat(row["at"]) >= since]
        if DEFECT == "forgets what it read" and self.reads % 2 == 0:
            shown = shown[:-1]
        while True:
            yield self.page(shown)
            if DEFECT != "never ends":
                return

    def page(self, shown):
        page = Page([], [])
        for row in shown:
            try:
                task = Task(task_id=row["id"], project_ref="1", title=row["title"], is_billable=True, is_done=False)
                stamp = dt.datetime.fromisoformat(row["at"])
                page.rows.append(Pulled(row["id"], task, json.dumps(row), stamp))
            except ValueError as error:
                if DEFECT == "one bad record stops it":
                    raise
                page.bad.append(BadRow(row["id"], str(error), json.dumps(row)))
        return page

    def find(self, effect):
        found = [n for n, key in enumerate(self.projects) if key == effect.key]
        return None if not found or DEFECT == "does not look" else str(found[0])

    def perform(self, effect):
        if effect.capability != "create_project":
            raise ConfigurationError(f"wallclock has no {effect.capability}")
        if DEFECT != "takes any ticket":
            effect.permit(self.key)
        self.projects.append(effect.key)
        if self.loses:
            self.loses = False
            raise UncertainOutcome("wallclock: no answer")
        return str(len(self.projects) - 1)

    def url(self, kind, external_id):
        return f"http://127.0.0.1/{external_id}"
'''
SUITE = """
import pytest
from wallclock import REGISTRATION, WallClock

from psflow.testing import Conformance

pytest_plugins = ["psflow.testing"]


class TestWallClock(Conformance):
    registration, secret = REGISTRATION, "hunter2"

    @pytest.fixture
    def system(self):
        self.clock = WallClock()
        return self.clock

    def payload(self, system, capability):
        return {"name": "Lobby"}

    def lose_answer(self, capability):
        self.clock.loses = True

    def made(self):
        return len(self.clock.projects)

    def spoil(self, stream):
        self.clock.held[1]["title"] = None
        return self.clock.held[1]["id"]

    def locked_out(self):
        return WallClock(self.secret)
"""
ENTRY = "[psflow.systems]\nwallclock = wallclock:REGISTRATION\n"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return a folder that holds an installed package, as a wheel would leave it."""
    metadata = tmp_path / "psflow_wallclock-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: psflow-wallclock\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY)
    (tmp_path / "wallclock.py").write_text(ADAPTER)
    (tmp_path / "test_wallclock.py").write_text(SUITE)
    return tmp_path


def run(package: Path, *command: str, defect: str = "") -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"PYTHONPATH": str(package), "DEFECT": defect}
    return subprocess.run(
        [sys.executable, *command], cwd=package, env=environ, capture_output=True, text=True, check=False
    )


def registered(package: Path) -> subprocess.CompletedProcess[str]:
    return run(package, "-c", "from psflow.systems.registry import *; print(table())")


def suite(package: Path, defect: str = "") -> subprocess.CompletedProcess[str]:
    return run(package, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_wallclock.py", defect=defect)


def test_a_system_of_a_separate_package_stands_beside_ours(package: Path) -> None:
    shown = registered(package).stdout.splitlines()
    names = [cell.strip() for cell in shown[0].split("|")[2:-1]]
    assert names == ["Salesforce", "Tryton", "Kantata OX", "Wall clock", "BambooHR", "Float"]
    assert "| `create_project` | - | yes | yes | yes | - | yes |" in shown


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("wallclock:NOBODY", "cannot be loaded: AttributeError"),
        ("nowhere:REGISTRATION", "cannot be loaded: ModuleNotFoundError"),
        ("wallclock:WallClock", "is a type, not a psflow.systems.Registration"),
    ],
)
def test_a_broken_entry_point_is_named_with_its_package(package: Path, entry: str, said: str) -> None:
    (package / "psflow_wallclock-1.0.dist-info/entry_points.txt").write_text(f"[psflow.systems]\nclock = {entry}\n")
    error = registered(package).stderr
    assert f"ConfigurationError: entry point psflow.systems: clock = {entry} of psflow-wallclock {said}" in error


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ("make_coffee", "create_project", "declares make_coffee, which psflow does not know"),
        ("kantata", "wallclock", "two systems register as 'kantata'"),
    ],
)
def test_a_registration_that_cannot_be_is_refused(package: Path, wrong: str, right: str, said: str) -> None:
    (package / "wallclock.py").write_text(ADAPTER.replace(f'"{right}"', f'"{wrong}"'))
    assert said in registered(package).stderr


def test_an_adapter_that_keeps_its_promises_passes_the_suite(package: Path) -> None:
    done = suite(package)
    assert done.returncode == 0, done.stdout
    assert "9 passed" in done.stdout


@pytest.mark.parametrize(
    ("defect", "fails"),
    [
        ("never ends", "test_pages_end"),
        ("forgets what it read", "test_the_same_watermark"),
        ("one bad record stops it", "test_one_bad_record"),
        ("takes any ticket", "test_without_a_good_ticket"),
        ("does not look", "test_a_write_whose_answer_is_lost"),
        ("shows its secret", "test_a_secret_is_never_shown"),
    ],
)
def test_an_adapter_that_breaks_a_promise_fails_it(package: Path, defect: str, fails: str) -> None:
    done = suite(package, defect)
    assert done.returncode == 1, done.stdout
    assert f"FAILED test_wallclock.py::TestWallClock::{fails}" in done.stdout
