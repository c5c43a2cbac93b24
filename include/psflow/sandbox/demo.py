"""
The demo: one small firm's month from closed-won deals to tied-out invoices, on the real local stack.

It starts from nothing each time: business database, ERP, vendors and Airflow's history are made anew. Two answers get
lost on the way (a workspace in the PSA, a draft in the ERP); both are found again. Then every DAG runs a second time.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console
from rich.markup import escape

from psflow import config
from psflow.errors import PsflowError
from psflow.sandbox import firm, proof
from psflow.sandbox.airflow_api import AirflowApi
from psflow.sandbox.stack import Stack

_FAULT_S = 4  # longer than any deadline of psflow.yaml's fast profiles would wait
_BILLING = {"legal_entity_id": firm.ENTITY, "period": firm.PERIOD}


class DemoFailed(PsflowError):
    """A run of the story did not end as it must; the message names the run and where to look."""


def run(once: bool) -> int:
    """Play the story, write summary.json and print it; return the exit code. Without `once` wait for Ctrl-C."""
    stack, tell = Stack(), Teller()
    stack.airflow.follows_schedules = False  # the story starts each run itself, also at a quarter past
    caches = "warm" if stack.tryton.built else "cold"
    try:
        _start(stack, tell)
        failed = _report(stack, tell, {"caches": caches} | _play(stack, tell))
        if not once:
            _wait(stack, tell)
    finally:
        with tell.step("stop the stack"):
            stack.down()
    return 1 if failed else 0


class Teller:
    """Progress as lines: what was done, what came of it, how long it took. A spinner only where a person looks."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.began = time.monotonic()
        self.steps: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Time one step; the block may append what came of it."""
        said: list[str] = []
        began = time.monotonic()
        with self.console.status(escape(name)):
            yield said
        took = time.monotonic() - began
        self.steps[name] = round(self.steps.get(name, 0) + took, 1)
        self.console.print(f"[green]ok[/green] {took:6.1f} s  {escape(name):<44} {escape('; '.join(said))}")


def _start(stack: Stack, tell: Teller) -> None:
    config.load(stack.project / "psflow.yaml")  # before anything is forgotten
    with tell.step("make everything anew"):
        stack.renew()
    with tell.step("start Postgres, Tryton, vendors and Airflow") as said:
        began = time.monotonic()
        stack.up(lambda service: said.append(f"{service} {time.monotonic() - began:.0f} s"))
    with tell.step("the firm's records") as said:
        stack.vendors.load("salesforce", firm.crm_records())
        stack.vendors.load("kantata", firm.psa_records(), {"hang_s": _FAULT_S})
        said.append(f"{len(firm.DEALS)} won deals in Salesforce, people and prices in Kantata")


def _play(stack: Stack, tell: Teller) -> dict[str, Any]:
    story = Story(stack, tell)
    story.sync()
    story.activations()
    story.work()
    story.bill()
    story.reconcile()
    before = proof.digest(stack)
    with tell.step("every DAG a second time") as said:
        story.again()
        changes = proof.changed(before, proof.digest(stack))
        said.append(f"{len(changes)} changes{': ' + ', '.join(changes) if changes else ''}")
    return proof.measure(stack) | {"second_pass_changes": len(changes), "changed": changes}


class Story:
    """The DAG runs of the demo, in order, over Airflow's REST API."""

    def __init__(self, stack: Stack, tell: Teller) -> None:
        self.stack, self.tell, self.api = stack, tell, stack.airflow.api()

    def sync(self) -> None:
        """People and prices first: the gates of the deals ask for them."""
        with self.tell.step("sync_kantata") as said:
            said.append(self._run("sync_kantata"))
        with self.tell.step("sync_salesforce") as said:
            self.stack.vendors.arm("kantata", "POST /api/v1/workspaces", "timeout_after_commit")
            said.append(self._run("sync_salesforce"))

    def activations(self) -> None:
        """One run a deal: three become projects, one is blocked and says why."""
        with self.tell.step("activation") as said:
            ends = {
                run["dag_run_id"]: self.api.wait("activation", run["dag_run_id"]) for run in self.api.runs("activation")
            }
            said += [f"{run_id} {'active' if state == 'success' else 'blocked'}" for run_id, state in ends.items()]
            if len(ends) != len(firm.DEALS):
                raise DemoFailed(
                    f"{len(firm.DEALS)} won deals but {len(ends)} activations; see {self.api.url}/dags/activation"
                )
        with self.tell.step("sync_salesforce") as said:
            self._run("sync_salesforce")
            said.append("the CRM shows each project's code")

    def work(self) -> None:
        """October's hours are logged on the new workspaces, then loaded."""
        with self.tell.step("time_expense") as said:
            self.stack.vendors.load("kantata", {"time_entries": firm.time_records(self._workspaces())})
            said.append(self._run("time_expense"))

    def bill(self) -> None:
        """Fiona submits, Frank approves; the answer of the first draft gets lost."""
        with self.tell.step("billing") as said:
            self.stack.tryton.arm("model.account.invoice.create", "timeout_after_commit", hang_s=_FAULT_S * 2)
            run_id = self.api.trigger("billing", _BILLING)
            for task, user in (("submit", "fiona"), ("approve", "frank")):
                _answer(self.api, self.stack.airflow.api(user), run_id, task)
                said.append(f"{user} {task}s")
            self._finish("billing", run_id)

    def reconcile(self) -> None:
        """Read the ERP back and tie out."""
        with self.tell.step("reconciliation") as said:
            said.append(self._run("reconciliation"))

    def again(self) -> None:
        """Run every DAG once more, the activations too."""
        for dag in ("sync_kantata", "sync_salesforce"):
            self._run(dag)
        for run in self.api.runs("activation"):
            self.api.clear("activation", run["dag_run_id"])
        for run in self.api.runs("activation"):
            self.api.wait("activation", run["dag_run_id"])
        self._run("time_expense")
        self._run("billing", _BILLING)
        self._run("reconciliation")

    def _run(self, dag: str, conf: dict[str, Any] | None = None) -> str:
        return self._finish(dag, self.api.trigger(dag, conf))

    def _finish(self, dag: str, run_id: str) -> str:
        state = self.api.wait(dag, run_id, wait_s=180)
        if state != "success":
            bad = [t["task_id"] for t in self.api.task_instances(dag, run_id) if t["state"] == "failed"]
            raise DemoFailed(f"{dag} failed in {', '.join(bad)}; see {self.api.url}/dags/{dag}/runs/{run_id}")
        return "; ".join(self._said(dag, run_id))

    def _said(self, dag: str, run_id: str) -> Iterator[str]:
        """Yield the counts that the tasks handed on."""
        for task in self.api.task_instances(dag, run_id):
            if task["state"] == "success" and task["map_index"] == -1:
                try:
                    value = self.api.xcom(dag, run_id, task["task_id"])
                except PsflowError:
                    continue
                if isinstance(value, dict):
                    yield ", ".join(f"{n} {k.replace('_', ' ')}" for k, n in value.items() if isinstance(n, int))

    def _workspaces(self) -> dict[str, str]:
        """Return deal number -> its workspace, as the PSA has them."""
        found = self.stack.vendors.records("kantata", "workspaces")
        return {
            number: str(workspace["id"])
            for number, _, name, _ in firm.DEALS
            for workspace in found
            if str(workspace["title"]).endswith(name)
        }


def _answer(admin: AirflowApi, person: AirflowApi, run_id: str, task: str, wait_s: float = 120) -> None:
    """Answer a required action as that person, once it is there, with the content hash that it shows."""
    until = time.monotonic() + wait_s
    while not (
        asked := [a for a in admin.required_actions("billing", run_id) if a["task_instance"]["task_id"] == task]
    ):
        if admin.run("billing", run_id)["state"] == "failed" or time.monotonic() > until:
            raise DemoFailed(f"billing did not get to {task}; see {admin.url}/dags/billing/runs/{run_id}")
        time.sleep(0.3)
    shown = {name: param["value"] for name, param in asked[0]["params"].items()}
    person.answer("billing", run_id, task, "Approve", shown)


def _report(stack: Stack, tell: Teller, summary: dict[str, Any]) -> list[str]:
    """Write summary.json, print it and what to click; return the checks that do not hold."""
    summary = {"seconds": round(time.monotonic() - tell.began, 1)} | summary | {"steps": tell.steps}
    failed = [f"{name}: expected {want}, found {got}" for name, want, got in proof.checks(summary) if want != got]
    place = stack.state / "demo" / "summary.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(summary | {"checks_failed": failed}, indent=1) + "\n")
    say = tell.console.print
    say(f"\n[bold]Summary[/bold] ({place})")
    for name, value in summary.items():
        if name != "steps":
            say(f"  {name:<24} {escape(_text(value))}")
    for line in failed:
        say(f"[red]FAIL[/red] {escape(line)}")
    if not failed:
        say(f"[green]All {len(proof.checks(summary))} checks hold.[/green]")
    return failed


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items()) or "none"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _wait(stack: Stack, tell: Teller) -> None:
    say, passwords = tell.console.print, stack.airflow.passwords
    say(f"\n[bold]Look around[/bold]  {stack.airflow.url}")
    people = {
        "paula": "PMO, reads",
        "fiona": "finance, submits",
        "frank": "finance, approves",
        "engineer": "data engineer",
    }
    for user, who in people.items():
        say(f"  log in as {user:<9} {escape(passwords[user]):<14} {who}")
    say("  1. Dags > activation > Runs: one row a deal; the red one is blocked, its log says why and who owns it")
    say("  2. Dags > billing > the run: gate, submit, approve, draft, read_back, post; Browse > Required Actions")
    say("  3. finance's tables (psql or any tool): finance.invoice_tie_out, finance.invoice, finance.open_exception")
    say(f"       {escape(stack.database_url('psflow_finance'))}")
    say("  4. one record's whole history: psflow trace P-1001")
    say("Ctrl-C stops everything.")
    with suppress(KeyboardInterrupt):
        signal.pause()
