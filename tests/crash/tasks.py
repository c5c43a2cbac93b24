"""A worker's day: the tasks of one stage, each begun anew until it ends, as Airflow begins its tasks anew."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psflow import crash
from psflow.config import Config, Step
from psflow.contracts import Period
from psflow.errors import GateFailed, PsflowError, TransientError, UncertainOutcome
from psflow.flows import (
    activation,
    billing,
    billing_plan,
    billing_posting,
    reconciliation,
    staffing,
    sync,
    sync_people,
    time_expense,
)
from psflow.store.accounts import SharedAccount
from psflow.store.connection import Store
from psflow.systems.float.client import Float
from psflow.systems.kantata.client import Kantata
from psflow.systems.salesforce.client import Salesforce
from psflow.systems.transport import Transport
from tests.crash.books import Books
from tests.flows.conftest import PassGate

ENTITY, PERIOD = "MER-US", Period(name="2026-10")
AGAIN = 75  # the exit code of a worker whose task asks to be tried again


class _Failed(Exception):
    """A task of this run failed for good: what comes after it in the run is not begun."""


@dataclass
class Systems:
    """The adapters of one worker, over connections of its own."""

    crm: Salesforce
    psa: Kantata
    planner: Float
    erp: Books


def connect(store: Store, config: Config, urls: dict[str, str]) -> Systems:
    """Return fresh adapters to the vendors, each asking the account that all workers share."""
    profiles = config.systems
    lines = {name: Transport(name, url, profiles[name].deadline_s) for name, url in urls.items()}
    for name, line in lines.items():
        line.account = SharedAccount(store, config, name, f"{name}.test")
    return Systems(
        Salesforce(lines["salesforce"], profiles["salesforce"], "app", "swordfish"),
        Kantata(lines["kantata"], profiles["kantata"], "swordfish"),
        Float(lines["float"], profiles["float"], "swordfish", "USD", "ops@meridian.test", "https://f.test"),
        Books(lines["tryton"], profiles["tryton"]),
    )


@dataclass
class Day:
    """What one worker knows: `told` is the memory of the scheduler, task -> what it returned or why it failed."""

    store: Store
    config: Config
    to: Systems
    memory: Path
    told: dict[str, dict[str, Any]]

    def task(self, name: str, work: Callable[[], Any]) -> Any:
        """Return what the task returned, now or before. Raises _Failed; ends the worker if it is to be tried again."""
        known = self.told.get(name)
        if known is None:
            known = self._run(name, work)
            crash.point(f"{name.split(' ')[0]}:ended")
            self.told[name] = known
            _write(self.memory, self.told)
        if "failed" in known:
            raise _Failed(name)
        return known["returned"]

    def _run(self, name: str, work: Callable[[], Any]) -> dict[str, Any]:
        try:
            return {"returned": work()}
        except (TransientError, UncertainOutcome) as error:
            _write(self.memory.with_name(f"{self.memory.name}.again"), f"{name}: {error}")
            os._exit(AGAIN)
        except PsflowError as error:
            return {"failed": f"{type(error).__name__}: {error}"}


def _write(path: Path, what: Any) -> None:
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(json.dumps(what, default=str))
    draft.replace(path)


def work(stage: str, day: Day) -> None:
    """Do a stage's tasks."""
    _STAGES[stage](day)


def _activation(day: Day) -> None:
    run = (day.store, day.config)
    with suppress(_Failed):
        day.task("sync_psa", lambda: sync.pull_psa(*run, day.to.psa))
        found = day.task("sync_crm", lambda: sync.pull_crm(*run, day.to.crm))
        for deal in found["start"] + found["restart"]:
            _activate(day, **deal)


def _activate(day: Day, engagement_id: str, epoch: int) -> None:
    deal, to = (day.store, day.config), day.to
    name, at = f"{engagement_id}.{epoch}", (engagement_id, epoch)
    with suppress(_Failed):
        day.task(f"gates {name}", lambda: activation.check(*deal, *at))
        day.task(f"create_in_erp {name}", lambda: activation.create_in_erp(*deal, to.erp, *at))
        day.task(f"create_in_psa {name}", lambda: activation.create_in_psa(*deal, to.psa, to.erp, to.crm, *at))
        day.task(f"create_in_planner {name}", lambda: activation.create_in_planner(*deal, to.planner, *at))
        day.task(f"finish {name}", lambda: activation.finish(*deal, to.crm, *at))


def _rewon(day: Day) -> None:
    """Somebody triggers the next epoch of what was compensated."""
    lost = "select engagement_id, max(epoch) + 1 as epoch from ops.workflow where state = 'compensated' group by 1"
    for deal in day.task("rewon", lambda: day.store.rows(lost)):
        _activate(day, **deal)


def _staffing(day: Day) -> None:
    run = (day.store, day.config)
    with suppress(_Failed):
        day.task("sync_planner", lambda: sync_people.pull_planner(*run, day.to.planner))
        day.task("staff", lambda: staffing.staff(*run, day.to.planner, day.to.psa))


def _time(day: Day) -> None:
    run = (day.store, day.config)
    for name, load, kind in (
        ("time", time_expense.load, "time_entry"),
        ("expenses", time_expense.load_expenses, "expense_entry"),
    ):
        with suppress(_Failed):
            day.task(f"load_{name}", lambda load=load: load(*run, day.to.psa))
            day.task(f"gate_{name}", lambda kind=kind: time_expense.check(*run, PassGate(), kind))


def _billing(day: Day) -> None:
    run, to = (day.store, day.config), day.to
    with suppress(_Failed):
        batch = day.task("freeze", lambda: billing.freeze(*run, ENTITY, PERIOD, PERIOD.end))
        if batch is None:  # another run billed it all
            return
        shown = day.task("gate_batch", lambda: billing.check(*run, PassGate(), batch))["content_hash"]
        day.task("submit", lambda: decide(day, batch, "submit", shown))
        for number in (1, 2):  # the second is asked when the batch is large
            day.task(f"approve {number}", lambda: decide(day, batch, "approve", shown))
        day.task("release", lambda: billing_posting.release(*run, to.erp, batch))
        day.task("draft", lambda: billing_posting.draft(*run, to.erp, batch))
        day.task("read_back", lambda: billing_posting.read_back(*run, to.erp, batch))
        day.task("post", lambda: billing_posting.post(*run, to.erp, batch))
        day.task("read_erp", lambda: reconciliation.read_erp(day.store, to.erp))
        day.task("tie_out", lambda: reconciliation.tie_out(*run))


def decide(day: Day, batch: str, step: Step, shown: str) -> None:
    """Decide unless it is decided, as the operator does that is begun anew: it asks who did not decide yet."""
    past = {"submit": ("submitted", "approved"), "approve": ("approved",)}[step]
    if billing.find(day.store, batch)["state"] in past:
        return
    asked = billing_plan.deciders(day.store, batch)
    people = [p.airflow_user for p in day.config.people_who_may(step, ENTITY) if p.person not in asked]
    if not people:
        raise GateFailed(f"batch {batch}: nobody is left to {step} it")
    billing.decide(
        day.store, day.config, batch, step, airflow_user=people[0], approved=True, content_hash=shown, run_id="r"
    )


def _correction(day: Day) -> None:
    _time(day)
    _billing(day)


_STAGES = {
    "activation": _activation,
    "staffing": _staffing,
    "time": _time,
    "billing": _billing,
    "correction": _correction,
    "compensation": _activation,
    "rewon": _rewon,
}
