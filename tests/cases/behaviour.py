"""How the engine behaves when calls are lost, repeated, raced or refused: what a case says in words, played."""

from __future__ import annotations

import datetime as dt
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from psflow.contracts import Period, Task
from psflow.errors import GateFailed, NeedsReview, Rejected, TransientError, UncertainOutcome
from psflow.flows import activation, billing, billing_posting
from psflow.flows.reading import pull
from psflow.gates.suite import Verdict
from psflow.store import crosswalk, effects
from psflow.store.connection import Store, sql
from psflow.store.effects import NewEffect
from psflow.systems import Page, Pulled
from tests.cases.office import ENTITY, Office
from tests.flows.conftest import Firm, PassGate

SEPTEMBER = Period(name="2026-09")
_STATE = {"failed": "blocked"}  # a batch whose gate did not pass, in the case's words


def play(office: Office, firm: Firm, given: dict[str, Any]) -> dict[str, Any]:
    """Return what became of each situation, by its letter."""
    office.rate("card", "100", role="Consultant")
    found: dict[str, Any] = {"I": _a_gate_that_only_returns(office), "H": _a_reject(office)}
    found["A"], batch = _a_lost_answer(office)
    found["B"] = _the_same_event_again(office, batch, _number(given["B"]))
    found["C"] = _another_payload(office, batch)
    found["F"] = _invoices_twice(office, _number(given["F"]))
    found["D"] = _two_workers(firm)
    found["E"] = _a_refusal(firm)
    found["G"] = _a_filter_by_day(office, given["G"])
    return found


def _number(said: str) -> int:
    found = re.search(r"\d+", said)
    assert found, said
    return int(found[0])


# -- postings


def _batch(office: Office, *contracts: str) -> str:
    """One hour on each contract, frozen."""
    for contract in contracts:
        office.work(contract, office.contract(contract, customer=contract), "2026-09-07", "1")
    batch = billing.freeze(office.store, office.config, ENTITY, SEPTEMBER, SEPTEMBER.end)
    assert batch
    return batch


def _decided(office: Office, batch: str, approved: bool = True) -> None:
    shown = str(billing.check(office.store, office.config, PassGate(), batch)["content_hash"])
    for step, user, yes in (("submit", "fiona", True), ("approve", "frank", approved)):
        said: Any = {"airflow_user": user, "approved": yes, "content_hash": shown, "run_id": "case"}
        billing.decide(office.store, office.config, batch, step, **said)  # type: ignore[arg-type]


def _post(office: Office, batch: str) -> None:
    run = (office.store, office.config, office.erp, batch)
    billing_posting.release(*run)
    billing_posting.draft(*run)
    billing_posting.read_back(*run)
    billing_posting.post(*run)


def _state(office: Office, batch: str) -> str:
    state = str(billing.find(office.store, batch)["state"])
    return _STATE.get(state, state)


def _a_lost_answer(office: Office) -> tuple[dict[str, Any], str]:
    batch, lost = _batch(office, "A"), list[str]()

    def lose(when: str, capability: str) -> None:
        if (when, capability) == ("after", "draft_invoice") and not lost:
            lost.append(capability)
            raise UncertainOutcome("no answer")

    _decided(office, batch)
    office.erp.fail = lose
    _post(office, batch)
    assert lost
    sent = office.store.row("select attempts, state from ops.effect where batch_id = %(b)s and capability = "
                            "'draft_invoice'", b=batch) or {}  # fmt: skip
    counted = {"erp_documents": len(office.erp.documents), "state": _state(office, batch)}
    return counted | {"attempts": sent["attempts"], "dead_letter": int(sent["state"] == "dead")}, batch


def _the_same_event_again(office: Office, batch: str, times: int) -> dict[str, Any]:
    for _ in range(times):
        _post(office, batch)
    return {"erp_documents": len(office.erp.documents)}


def _another_payload(office: Office, batch: str) -> dict[str, Any]:
    sent = office.store.row("select * from ops.effect where batch_id = %(b)s and capability = 'draft_invoice'", b=batch)
    assert sent
    subject, other = sent["effect_key"].split(":", 2)[2], sent["payload"] | {"currency": "EUR"}
    with pytest.raises(NeedsReview) as told, office.store.transaction("case.conflict"):
        effects.register(office.store, [NewEffect("tryton", "draft_invoice", subject, other, batch_id=batch)])
    return {"erp_documents": len(office.erp.documents), "exception": str(told.value).split(":")[0]}


def _invoices_twice(office: Office, invoices: int) -> dict[str, Any]:
    before = len(office.erp.documents)
    batch = _batch(office, *(f"F{number}" for number in range(invoices)))
    _decided(office, batch)
    for _ in range(2):
        _post(office, batch)
    return {"erp_documents": len(office.erp.documents) - before}


def _a_reject(office: Office) -> dict[str, Any]:
    batch = _batch(office, "H")
    with pytest.raises(GateFailed, match="was rejected by frank"):
        _decided(office, batch, approved=False)
    with pytest.raises(GateFailed):
        billing_posting.release(office.store, office.config, office.erp, batch)
    state = _state(office, batch)
    office.work("H", "P-H", "2026-09-07", "1", approved=False)  # out of the way of the next
    return {"posted": len(office.erp.documents), "workflow_state": state}


@dataclass(frozen=True)
class _OnlyReturns(PassGate):
    """It does not raise: its verdict alone says that the batch may not go on."""

    def run(self, suite: str, batch_id: str) -> Verdict:
        return replace(super().run(suite, batch_id), stopped=("the amounts do not add up",))


def _a_gate_that_only_returns(office: Office) -> dict[str, Any]:
    batch = _batch(office, "I")
    with pytest.raises(GateFailed):
        billing.check(office.store, office.config, _OnlyReturns(), batch)
    with pytest.raises(GateFailed):
        billing_posting.release(office.store, office.config, office.erp, batch)
    state = _state(office, batch)
    office.work("I", "P-I", "2026-09-07", "1", approved=False)
    return {"posted": len(office.erp.documents), "workflow_state": state}


# -- activation


def _two_workers(firm: Firm) -> dict[str, Any]:
    firm.win()
    (run,) = firm.sync()["start"]
    gate = threading.Barrier(2)

    def work() -> None:
        with Store.open(firm.store._url, firm.config.region) as mine:
            gate.wait()
            while True:
                try:
                    return replace(firm, store=mine).activate(**run)
                except TransientError:  # the other has it on its way: Airflow tries again
                    continue

    both = [threading.Thread(target=work) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    return {"erp_projects": len(firm.erp.projects), "psa_projects": firm.kantata.state()["records"]["workspaces"]}


def _a_refusal(firm: Firm) -> dict[str, Any]:
    live = sum(project["state"] == "open" for project in firm.erp.projects.values())
    firm.win(2)
    (run,) = firm.sync()["start"]
    activation.check(firm.store, firm.config, **run)
    activation.create_in_erp(firm.store, firm.config, firm.erp, **run)
    firm.kantata.control("reset")  # the PSA lost its rate card: it refuses for good
    with pytest.raises(Rejected):
        activation.create_in_psa(firm.store, firm.config, firm.psa, firm.erp, firm.crm, **run)
    pages = firm.crm._query("SELECT Id, Activation_Status__c FROM Opportunity WHERE Id = '006000000000002AAA'")
    (deal,) = [json.loads(raw) for page in pages for raw in page]
    (told,) = [e for e in firm.exceptions("activation") if e["engagement_id"] == run["engagement_id"]]
    return {
        "erp_active_projects": sum(project["state"] == "open" for project in firm.erp.projects.values()) - live,
        "exception_owner": str(told["owner_team"]).upper(),
        "crm_status": deal["Activation_Status__c"],
    }


# -- reads


@dataclass
class _ByDay:
    """A PSA whose API filters by the day of the account's own clock, and says the instant of each change."""

    zone: ZoneInfo
    tasks: list[tuple[str, dt.datetime]]
    asked: list[dt.date]
    key: str = "kantata"
    instance: str = "by-day"

    def pages(self, since: dt.datetime | None) -> Iterator[Page[Task]]:
        day = since.astimezone(self.zone).date() if since else dt.date.min
        self.asked.append(day)
        rows = [(task, at) for task, at in self.tasks if at.astimezone(self.zone).date() >= day]
        yield Page([Pulled(t, _task(t), json.dumps({"id": t, "at": at.isoformat()}), at) for t, at in rows], [])


def _task(task: str) -> Task:
    return Task(task_id=task, project_ref="1", title=task, is_billable=True, is_done=False)


def _a_filter_by_day(office: Office, given: dict[str, Any]) -> dict[str, Any]:
    first, changed = (dt.datetime.fromisoformat(given[name]) for name in ("run1", "modified"))
    psa, applied = _ByDay(ZoneInfo(given["account_tz"]), [("before", first)], []), Counter[str]()

    def save(store: Store, system: Any, record_id: str, task: Task) -> None:
        applied[record_id] += store.run(sql("warehouse.sync", "task"), **task.model_dump())

    def run() -> None:
        since = crosswalk.read_since(office.store, psa, "task")  # type: ignore[arg-type]
        pull(office.store, office.config, psa, "task", psa.pages(since), save)  # type: ignore[arg-type]

    run()
    psa.tasks.append(("changed", changed))
    run()
    run()
    return {
        "captured": applied["changed"] > 0, "applied_times": applied["changed"], "lower_bound_to_send": psa.asked[1],
        "account_local_date_of_run1": first.astimezone(psa.zone).date(),
    }  # fmt: skip
