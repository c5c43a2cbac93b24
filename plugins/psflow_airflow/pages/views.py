"""The pages. Each reads in one read-only transaction; filters are in the address, and every number is a link."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse

from psflow import trace
from psflow.config import Config
from psflow.errors import NeedsReview
from psflow.store import exceptions as work
from psflow.store import workflow
from psflow.store.connection import Store
from psflow_airflow.operators.base import opened
from psflow_airflow.pages import access, links
from psflow_airflow.pages.actions import Number
from psflow_airflow.pages.render import page, query

router = APIRouter()
STAGES = ("activation", "staffing", "delivery", "billing", "invoiced")
STATES = ("blocked", "held", "waiting", "running", "done", "closed")
_PAGE_OF = {
    "activation": "engagements", "sync_salesforce": "engagements", "staffing": "exceptions?rule=staffing",
    "time_expense": "gates?suite=time_expense/time_entry", "billing": "gates?suite=billing/batch",
}  # fmt: skip
Text = Annotated[str | None, Query(max_length=200)]


def reading() -> Iterator[tuple[Store, Config]]:
    """Yield the store, in a transaction that can only read and not for long, and psflow.yaml."""
    with opened("psflow_db") as (store, policy):
        store.run("set transaction read only")
        store.run("set local statement_timeout = '15s'")
        yield store, policy


Reading = Annotated[tuple[Store, Config], Depends(reading)]


@router.get("/")
def home(request: Request) -> Response:
    """Begin with the engagements."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/engagements", 303)


@router.get("/engagements")
def engagements(
    request: Request, read: Reading, stage: Text = None, state: Text = None, team: Text = None, q: Text = None
) -> Response:
    """Show stage by state, and the engagements that fit."""
    store, policy = read
    asked = {"stage": stage or None, "state": state or None, "team": team or None, "q": q or None}
    counts = workflow.matrix(store, team=asked["team"], q=asked["q"])
    totals = {
        "stage": {s: sum(n for (of, _), n in counts.items() if of == s) for s in STAGES},
        "state": {s: sum(n for (_, of), n in counts.items() if of == s) for s in STATES},
        "all": sum(counts.values()),
    }
    return page(
        request, "engagements.html", asked=asked, counts=counts, totals=totals, stages=STAGES, states=STATES,
        rows=workflow.engagements(store, **asked), teams=_teams(policy), run=links.run,
    )  # fmt: skip


@router.get("/trace")
def traced(request: Request, read: Reading, id: Text = None) -> Response:
    """One id of any system, and everything that happened to its engagement."""
    store, policy = read
    found = trace.find(store, id) if id else {}
    only = next(iter(found)) if len(found) == 1 else None
    rows = trace.history(store, only) if only else []
    vendors = links.Vendors(policy)
    for row in rows:
        row["url"] = vendors.url(row["system"], row["link_kind"], row["link_id"])
    return page(
        request, "trace.html", status_code=404 if id and not found else 200, id=(id or "").strip(), found=found,
        known=trace.KNOWN, heads={e: trace.head(store, e) for e in found}, only=only, rows=rows, run=links.run,
    )  # fmt: skip


@router.get("/exceptions")
def exceptions(
    request: Request,
    read: Reading,
    state: Literal["open", "waived", "resolved"] = "open",
    team: Text = None,
    rule: Text = None,
    engagement: Text = None,
    assignee: Text = None,
    currency: Text = None,
    overdue: bool = False,
    older: Annotated[str | None, Query(pattern=r"^\d{0,4}(\.\d)?$")] = None,
) -> Response:
    """Show what is open by team, and the exceptions that fit."""
    store, policy = read
    asked: dict[str, Any] = {
        "state": state, "team": team or None, "rule": rule or None, "engagement": engagement or None,
        "assignee": assignee or None, "currency": currency or None, "overdue": overdue,
        "older": Decimal(older) if older else None,
    }  # fmt: skip
    return page(
        request, "exceptions.html", asked=asked, rows=workflow.exceptions(store, **asked), teams=workflow.teams(store),
        rules=sorted(policy.routing), all_teams=_teams(policy), people=_people(policy), names=_names(policy),
    )  # fmt: skip


@router.get("/exceptions/{exception_id}")
def exception(request: Request, read: Reading, user: GetUserDep, exception_id: Number) -> Response:
    """One exception: what is wrong, whose it is, what was done, and what can be done."""
    store, policy = read
    try:
        row = work.find(store, exception_id)
    except NeedsReview as error:
        raise HTTPException(404, str(error)) from None
    return page(
        request, "exception.html", row=row, events=workflow.events(store, exception_id), people=_people(policy),
        candidates=workflow.candidates(store, row) if row["rule"] == "match" else [], names=_names(policy),
        refusal=access.why_not(policy, user, row["owner_team"]), me=access.person(policy, user),
    )  # fmt: skip


@router.get("/gates")
def gates(request: Request, read: Reading, suite: Text = None, verdict: Text = None, batch: Text = None) -> Response:
    """Each suite's newest verdict, and the verdicts over time."""
    store, _ = read
    asked = {"suite": suite or None, "verdict": verdict or None, "batch": batch or None}
    rows = workflow.verdicts(store, **asked)
    return page(request, "gates.html", asked=asked, suites=workflow.suites(store), rows=rows)


@router.get("/gates/{gate_id}")
def gate(
    request: Request,
    read: Reading,
    gate_id: Number,
    show: Literal["", "new", "known", "fixed"] = "",
    rule: Text = None,
) -> Response:
    """Show one verdict: what each check said, and the values it refused, each in its row."""
    store, _ = read
    verdict = workflow.gate_run(store, gate_id)
    if verdict is None:
        raise HTTPException(404, f"there is no gate verdict {gate_id}")
    every = workflow.failing(store, gate_id)
    counts = {
        "new": sum(not row["is_known"] for row in every),
        "known": sum(row["is_known"] for row in every),
        "fixed": sum(row["is_fixed"] for row in every),
    }
    rows = workflow.failing(store, gate_id, show or None, rule or None) if show or rule else every
    return page(
        request, "gate.html", gate=verdict, checks=workflow.checks(store, gate_id), rows=rows, counts=counts,
        show=show, rule=rule or "", total=len(every),
    )  # fmt: skip


@router.get("/dag/{dag_id}")
def of_dag(request: Request, dag_id: str) -> Response:
    """Show the page that belongs to a DAG: the tab on it."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/{_PAGE_OF.get(dag_id, 'exceptions')}", 303)


@router.get("/run/{dag_id}/{run_id:path}")
def of_run(request: Request, read: Reading, dag_id: str, run_id: str) -> Response:
    """Show the trace of what a run is about, else the page of its DAG: the tab on a run."""
    if dag_id in ("activation", "billing") and trace.find(read[0], run_id):
        return RedirectResponse(f"{request.scope.get('root_path', '')}/trace{query(id=run_id)}", 303)
    return of_dag(request, dag_id)


def _teams(policy: Config) -> list[str]:
    return sorted({route.owner_team for route in policy.routing.values()})


def _names(policy: Config) -> dict[str, str]:
    return {p.person: f"{p.airflow_user} ({p.person})" for p in policy.people}


def _people(policy: Config) -> list[tuple[str, str]]:
    return [(p.person, f"{p.airflow_user} ({p.person}, {', '.join(p.teams)})") for p in policy.people]
