"""A worker that is killed with SIGKILL at any point leaves work that the next one finishes, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from psflow import crash
from psflow.flows import activation, time_expense
from psflow.store.connection import Store
from tests.database import REGION
from tests.flows.conftest import Firm, PassGate

POINTS = [
    "activation.passed:before-commit",
    "activation.register:after-commit",
    "effect.intent:before-commit",
    "effect.intent:after-commit",
    "kantata.create_project:before-call",
    "kantata.create_project:answered",
    "effect.result:before-commit",
    "effect.result:after-commit",
    "activation.project:before-commit",
    "salesforce.update_opportunity:answered",
    "activation.active:before-commit",
]


def killed_at(point: str, work: Any) -> None:
    """Run `work` in a process that kills itself at `point`, and make sure that it did."""
    child = os.fork()
    if child == 0:
        crash._AT = point
        try:
            work()
        finally:
            os._exit(3)  # the point was never reached
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, f"{point} was never reached"


@pytest.mark.parametrize("point", POINTS)
def test_one_workspace_and_one_active_deal_wherever_the_worker_dies(firm: Firm, app_url: str, point: str) -> None:
    firm.win()
    (run,) = firm.sync()["start"]
    activation.check(firm.store, firm.config, **run)
    activation.create_in_erp(firm.store, firm.config, firm.erp, **run)
    if "passed" in point:
        firm.store.run("select 1")

    def work() -> None:
        with Store.open(app_url, REGION) as store:
            activation.check(store, firm.config, **run)
            activation.create_in_psa(store, firm.config, firm.psa, firm.erp, **run)
            activation.finish(store, firm.config, firm.crm, **run)

    killed_at(point, work)
    work()
    assert firm.kantata.state()["records"]["workspaces"] == 1
    assert firm.store.value("select state from ops.workflow") == "active"
    assert firm.store.value("select count(*) from ops.effect where state <> 'done'") == 0


@pytest.mark.parametrize("point", ["time_expense.load:before-commit", "time_expense.load:after-commit"])
def test_a_load_that_dies_is_whole_or_never_was(firm: Firm, app_url: str, point: str) -> None:
    firm.start()
    for number in range(1, 30):
        firm.log(number)

    def work() -> None:
        with Store.open(app_url, REGION) as store:
            time_expense.load(store, firm.config, firm.psa)

    killed_at(point, work)
    work()
    assert time_expense.check(firm.store, firm.config, PassGate(29)) == {"passed": 29, "held": 0}
    assert firm.store.value("select count(*) from core.time_entry") == 29


def test_two_workers_at_once_write_once(firm: Firm, app_url: str) -> None:
    firm.win()
    (run,) = firm.sync()["start"]
    activation.check(firm.store, firm.config, **run)
    activation.create_in_erp(firm.store, firm.config, firm.erp, **run)
    firm.store.close()
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with Store.open(app_url, REGION) as store:
                    activation.create_in_psa(store, firm.config, firm.psa, firm.erp, **run)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    assert firm.kantata.state()["records"]["workspaces"] == 1


def test_of_all_who_come_to_a_point_one_dies_when_one_is_to_die(tmp_path: Path) -> None:
    script = "from psflow import crash; crash.point('here')"
    settings = {"PSFLOW_CRASH_AT": "here", "PSFLOW_CRASH_ONCE": str(tmp_path / "dead")}
    ends = [
        subprocess.run([sys.executable, "-c", script], env=os.environ | settings, check=False).returncode
        for _ in range(3)
    ]
    assert ends == [-signal.SIGKILL, 0, 0]
