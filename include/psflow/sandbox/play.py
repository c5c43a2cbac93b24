"""
The story of the demo as DAG runs over Airflow's REST API: what a scheduler, a preparer and an approver would do.

Two answers get lost on the way (a workspace in the PSA, a draft in the ERP); both are found again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

from psflow import config
from psflow.errors import PsflowError
from psflow.flows import dispute, opening, terms
from psflow.sandbox import meridian
from psflow.store.connection import Store

if TYPE_CHECKING:
    from psflow.sandbox.demo import Teller
    from psflow.sandbox.stack import Stack

FAULT_S = 4  # longer than any deadline of psflow.yaml's fast profiles would wait
SYNCS = (("sync_bamboohr", "sync_tryton"), ("sync_kantata",), ("sync_float",))  # people, then what refers to them
SIGNERS = {"submit": "fiona", "approve": "frank", "sign": "frank"}


class DemoFailed(PsflowError):
    """A run of the story did not end as it must; the message names the run, its error and where to look."""


class Play:
    """Meridian's two months, step by step."""

    def __init__(self, stack: Stack, tell: Teller) -> None:
        self.stack, self.tell, self.api = stack, tell, stack.airflow.api()
        self.waiting = ""  # the billing run that nobody approves

    def master_data(self) -> None:
        """Read people, prices, hours and exchange rates, in the order of who may say what."""
        with self.tell.step("people, prices, hours, exchange rates") as said:
            said += [told for dags in SYNCS for told in self._together(*dags)]
        with self.tell.step("sync_salesforce") as said:
            self.stack.vendors.arm("kantata", "POST /api/v1/workspaces", "timeout_after_commit")
            said.append(self._run("sync_salesforce"))

    def activations(self) -> None:
        """One run a deal: each becomes projects in three systems or is blocked and says why."""
        with self.tell.step("activation") as said:
            runs = [run["dag_run_id"] for run in self.api.runs("activation")]
            ends = [self.api.wait("activation", run_id, wait_s=900) for run_id in runs]
            said.append(f"{ends.count('success')} active, {len(ends) - ends.count('success')} blocked")
        with self.tell.step("the same deal delivered twice") as said:
            self.stack.vendors.load("salesforce", meridian.crm_again())
            self._run("sync_salesforce")
            again = len(self.api.runs("activation")) - len(runs)
            said.append(f"{again} new activations; the CRM shows each project's code")

    def openings(self) -> None:
        """Finance hands over what was billed before psflow."""
        with self.tell.step("opening balances") as said:
            place = self.stack.state / "demo" / "opening_balances.csv"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(meridian.opening_csv(self._projects()))
            with self._store() as store:
                loaded, wrong = opening.load(store, place)
            said.append(f"{loaded} projects, {len(wrong)} wrong lines")

    def agree(self) -> None:
        """Carla loads what five contracts say beside the rate card; petra has two deliverables accepted."""
        with self.tell.step("terms of five contracts") as said, self._store() as store:
            policy, projects = self._policy(), self._projects()
            place = self.stack.state / "demo" / "terms.yaml"
            place.write_text(meridian.terms_yaml(meridian.current(), projects))
            loaded, wrong = terms.load(store, policy, place, "carla")
            for milestone, day in meridian.ACCEPTED.items():
                proof = f"acceptance protocol of {day}"
                terms.accept(store, policy, projects[meridian.MILESTONES], milestone, "petra", proof, "the team", day)
            said.append(f"{loaded} agreements, {len(wrong)} wrong; {len(meridian.ACCEPTED)} milestones accepted")

    def work(self) -> None:
        """Eighteen months of hours and expenses are in the PSA; all of it comes in."""
        with self.tell.step("time_expense") as said:
            spaces = self._workspaces()
            self.stack.vendors.load("kantata", {"time_entries": meridian.time_records(spaces)})
            self.stack.vendors.load("kantata", meridian.expense_records(spaces))
            said.append(self._run("time_expense"))

    def staff(self) -> None:
        """Every request gets a person, or resource management is told; the planner then shows who is where."""
        with self.tell.step("staffing") as said:
            said.append(self._run("staffing"))
            self._run("sync_float")

    def bill(self) -> None:
        """September, then October, both entities at once; fiona submits, frank approves."""
        for period in sorted({run.period for run in meridian.FIRST}):
            with self.tell.step(f"billing {period}") as said:
                if period == meridian.FIRST[0].period:
                    self.stack.tryton.arm("model.account.invoice.create", "timeout_after_commit", hang_s=FAULT_S * 2)
                said.append(self._bill([run for run in meridian.FIRST if run.period == period]))

    def dispute(self) -> None:
        """Note what a customer does not accept of an invoice: by fiona, for frank to settle."""
        with self.tell.step("a customer disputes an invoice") as said, self._store() as store:
            project = self._projects()[meridian.DISPUTED_DEAL]
            invoice: str = store.value(
                "select min(invoice_key) from billing.live_invoice where project_code = %(project)s", project=project
            )
            why = "two days of travel were not agreed"
            dispute.note(store, self._policy(), invoice, meridian.DISPUTED, why, "frank", "fiona")
            said.append(f"{meridian.DISPUTED} of {invoice}")

    def correct(self) -> None:
        """Bill what arrived after the invoices: a late hour, two edited entries. One batch stays with the approver."""
        with self.tell.step("an hour arrives late, two are edited") as said:
            records = meridian.corrected_records(self._workspaces())
            self.stack.vendors.load("kantata", {"time_entries": records})
            said.append(self._run("time_expense"))
        with self.tell.step("billing, corrections") as said:
            posted = [run for run in meridian.CORRECTIONS if run != meridian.WAITING]
            runs = self._freeze(meridian.CORRECTIONS)
            self.waiting = runs[meridian.WAITING]
            self._decide(self.waiting, "submit")
            said.append(self._post({run: runs[run] for run in posted}))
            said.append(f"{meridian.WAITING.legal_entity_id} waits for frank")

    def prove(self) -> None:
        """Read the ERP back, tie out, publish the metrics."""
        for dag in ("reconciliation", "metrics"):
            with self.tell.step(dag) as said:
                said.append(self._run(dag))

    def close(self) -> None:
        """Close September of one entity: started by fiona, ten controls, signed by frank."""
        run = meridian.CLOSED
        with self.tell.step(f"close {run.period} of {run.legal_entity_id}") as said:
            fiona = self.stack.airflow.api("fiona")  # who starts a close may not sign it
            run_id = fiona.trigger("close", {"legal_entity_id": run.legal_entity_id, "period": run.period})
            self._decide(run_id, "sign", "close")
            said.append(self._finish("close", run_id) or "signed")

    def again(self) -> None:
        """Run every DAG once more, many at once; of the activations one that is active and the one that is blocked."""
        self._together("sync_salesforce", *(dag for dags in SYNCS for dag in dags))
        runs = {run["state"]: run["dag_run_id"] for run in self.api.runs("activation")}
        for run_id in runs.values():
            self.api.clear("activation", run_id)
        self._together("time_expense", "staffing")
        for run_id in runs.values():
            self.api.wait("activation", run_id)
        billing = self._trigger(next(run for run in meridian.CORRECTIONS if run != meridian.WAITING))
        self._together("reconciliation", "metrics", "alerts", "digest")
        self._finish("billing", billing)

    # -- billing

    def _bill(self, batches: Sequence[meridian.Run]) -> str:
        return self._post(self._freeze(batches))

    def _freeze(self, batches: Sequence[meridian.Run]) -> dict[meridian.Run, str]:
        return {run: self._trigger(run) for run in batches}

    def _trigger(self, run: meridian.Run) -> str:
        return self.api.trigger("billing", {"legal_entity_id": run.legal_entity_id, "period": run.period})

    def _post(self, runs: dict[meridian.Run, str]) -> str:
        for step in ("submit", "approve"):
            for run_id in runs.values():
                self._decide(run_id, step)
        return "; ".join(f"{run.legal_entity_id} {self._finish('billing', run_id)}" for run, run_id in runs.items())

    def _decide(self, run_id: str, step: str, dag: str = "billing", wait_s: float = 600) -> None:
        """Answer a required action as its person, once it is there, with the content hash that it shows."""
        until, actions = time.monotonic() + wait_s, list[dict[str, Any]]()
        while not actions:
            asked = self.api.required_actions(dag, run_id)
            actions = [action for action in asked if action["task_instance"]["task_id"] == step]
            if self.api.run(dag, run_id)["state"] == "failed" or time.monotonic() > until:
                raise DemoFailed(f"{dag} did not get to {step}: {self._why(dag, run_id)}")
            time.sleep(0.3)
        shown = {name: param["value"] for name, param in actions[0]["params"].items()}
        self.stack.airflow.api(SIGNERS[step]).answer(dag, run_id, step, "Approve", shown)

    # -- runs

    def _together(self, *dags: str) -> list[str]:
        started = {dag: self.api.trigger(dag) for dag in dags}
        return [f"{dag.removeprefix('sync_')}: {self._finish(dag, run_id)}" for dag, run_id in started.items()]

    def _run(self, dag: str) -> str:
        return self._finish(dag, self.api.trigger(dag))

    def _finish(self, dag: str, run_id: str) -> str:
        if self.api.wait(dag, run_id, wait_s=900) != "success":
            raise DemoFailed(f"{dag} failed: {self._why(dag, run_id)}")
        return "; ".join(self._said(dag, run_id))

    def _why(self, dag: str, run_id: str) -> str:
        """Return which tasks failed, the last error line of the first, and where to look."""
        failed = [task for task in self.api.task_instances(dag, run_id) if task["state"] == "failed"]
        lines: list[str] = []
        with suppress(PsflowError):
            lines = [
                line for task in failed[:1] for line in self.api.log(dag, run_id, task["task_id"], task["try_number"])
            ]
        errors = [line for line in lines if "rror" in line or "ailed" in line]
        names = ", ".join(task["task_id"] for task in failed) or "no task"
        return (
            f"{names}; {errors[-1][:300] if errors else 'no error in its log'}; {self.api.url}/dags/{dag}/runs/{run_id}"
        )

    def _said(self, dag: str, run_id: str) -> Iterator[str]:
        """Yield the counts that the tasks handed on."""
        for task in self.api.task_instances(dag, run_id):
            if task["state"] == "success" and task["map_index"] == -1:
                with suppress(PsflowError):
                    value = self.api.xcom(dag, run_id, task["task_id"])
                    counts = value.items() if isinstance(value, dict) else ()
                    if told := ", ".join(f"{n} {k.replace('_', ' ')}" for k, n in counts if isinstance(n, int) and n):
                        yield told

    # -- what the systems call the deals

    def _policy(self) -> config.Config:
        return config.load(self.stack.project / "psflow.yaml")

    def _store(self) -> AbstractContextManager[Store]:
        return Store.open(self.stack.database_url("psflow_app"), self._policy().region, self.stack.seal())

    def _workspaces(self) -> dict[str, str]:
        """Return deal number -> its workspace, as the PSA has them."""
        found = self.stack.vendors.records("kantata", "workspaces")
        titles = {str(workspace["title"]): str(workspace["id"]) for workspace in found}
        return {
            deal.number: ours for deal in meridian.current().deals for title, ours in titles.items()
            if title.endswith(f" {deal.name}")
        }  # fmt: skip

    def _projects(self) -> dict[str, str]:
        """Return deal number -> our project code."""
        with self._store() as store:
            rows = store.rows(
                "select opportunity_id, project_code from core.project join core.engagement using (engagement_id)"
            )
        codes = {row["opportunity_id"][:15]: row["project_code"] for row in rows}
        return {d.number: codes[i] for d in meridian.current().deals if (i := meridian.deal_id(d.number)[:15]) in codes}
