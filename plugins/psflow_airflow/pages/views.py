"""The pages. Each reads in one read-only transaction; filters are in the address, and every number is a link."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse

from psflow import trace
from psflow.config import Config
from psflow.errors import NeedsReview
from psflow.store import workflow
from psflow_airflow.pages import access, links
from psflow_airflow.pages.access import Number, Reading, Text
from psflow_airflow.pages.render import page, query

router = APIRouter()
STAGES = ("activation", "staffing", "delivery", "billing", "invoiced")
STATES = ("blocked", "held", "waiting", "running", "done", "closed")
_PAGE_OF = {
    "activation": "engagements", "sync_salesforce": "engagements", "staffing": "exceptions?rule=staffing",
    "time_expense": "gates?suite=time_expense/time_entry", "billing": "gates?suite=billing/batch",
}  # fmt: skip


@router.get("/")
def home(request: Request) -> Response:
    """Begin with the engagements."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/engagements", 303)


@router.get("/engagements")
def engagements(
    request: Request, read: Reading, stage: Text = None, state: Text = None, team: Text = None, q: Text = None
) -> Response:
    """Show stage by state, and the engagements that fit."""
    store, policy, sight = read
    asked = {"stage": stage or None, "state": state or None, "team": team or None, "q": q or None}
    counts = workflow.matrix(store, sight, team=asked["team"], q=asked["q"])
    totals = {
        "stage": {s: sum(n for (of, _), n in counts.items() if of == s) for s in STAGES},
        "state": {s: sum(n for (_, of), n in counts.items() if of == s) for s in STATES},
        "all": sum(counts.values()),
    }
    return page(
        request, "engagements.html", asked=asked, counts=counts, totals=totals, stages=STAGES, states=STATES,
        rows=workflow.engagements(store, sight, **asked), teams=_teams(policy), run=links.run,
    )  # fmt: skip


@router.get("/trace")
def traced(request: Request, read: Reading, id: Text = None) -> Response:
    """One id of any system, and everything that happened to its engagement."""
    store, policy, sight = read
    found = trace.find(store, id, sight) if id else {}
    only = next(iter(found)) if len(found) == 1 else None
    rows = trace.history(store, only) if only else []
    vendors = links.Vendors(policy)
    for row in rows:
        row["url"] = vendors.url(row["system"], row["link_kind"], row["link_id"])
    return page(
        request, "trace.html", status_code=404 if id and not found else 200, id=(id or "").strip(), found=found,
        known=trace.KNOWN, heads={e: trace.head(store, e) for e in found}, only=only, rows=rows, run=links.run,
        names=access.people(policy),
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
    store, policy, sight = read
    asked: dict[str, Any] = {
        "state": state, "team": team or None, "rule": rule or None, "engagement": engagement or None,
        "assignee": assignee or None, "currency": currency or None, "overdue": overdue,
        "older": Decimal(older) if older else None,
    }  # fmt: skip
    return page(
        request, "exceptions.html", asked=asked, rows=workflow.exceptions(store, sight, **asked),
        teams=workflow.teams(store, sight),
        rules=sorted(policy.routing), all_teams=_teams(policy), people=_people(policy), names=access.people(policy),
    )  # fmt: skip


@router.get("/exceptions/{exception_id}")
def exception(request: Request, read: Reading, user: GetUserDep, exception_id: Number) -> Response:
    """One exception: what is wrong, whose it is, what was done, and what can be done."""
    store, policy, sight = read
    try:
        row = workflow.exception(store, sight, exception_id)
    except NeedsReview as error:
        raise HTTPException(404, str(error)) from None
    return page(
        request, "exception.html", row=row, events=workflow.events(store, exception_id), people=_people(policy),
        candidates=workflow.candidates(store, row) if row["rule"] == "match" else [], names=access.people(policy),
        refusal=access.why_not(policy, user, row["owner_team"]), me=access.person(policy, user),
    )  # fmt: skip


@router.get("/gates")
def gates(request: Request, read: Reading, suite: Text = None, verdict: Text = None, batch: Text = None) -> Response:
    """Each suite's newest verdict, and the verdicts over time."""
    store, _, sight = read
    asked = {"suite": suite or None, "verdict": verdict or None, "batch": batch or None}
    rows = workflow.verdicts(store, sight, **asked)
    return page(request, "gates.html", asked=asked, suites=workflow.suites(store, sight), rows=rows)


@router.get("/gates/{gate_id}")
def gate(
    request: Request,
    read: Reading,
    gate_id: Number,
    show: Literal["", "new", "known", "fixed"] = "",
    rule: Text = None,
) -> Response:
    """Show one verdict: what each check said, and the values it refused, each in its row."""
    store, _, sight = read
    verdict = workflow.gate_run(store, sight, gate_id)
    if verdict is None:
        raise HTTPException(404, f"there is no gate verdict {gate_id}")
    every = workflow.failing(store, sight, gate_id)
    counts = {
        "new": sum(not row["is_known"] for row in every),
        "known": sum(row["is_known"] for row in every),
        "fixed": sum(row["is_fixed"] for row in every),
    }
    rows = workflow.failing(store, sight, gate_id, show or None, rule or None) if show or rule else every
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
    if dag_id in ("activation", "billing") and trace.find(read[0], run_id, read[2]):
        return RedirectResponse(f"{request.scope.get('root_path', '')}/trace{query(id=run_id)}", 303)
    return of_dag(request, dag_id)


def _teams(policy: Config) -> list[str]:
    return sorted({route.owner_team for route in policy.routing.values()})


def _people(policy: Config) -> list[tuple[str, str]]:
    return [(p.person, f"{p.airflow_user} ({p.person}, {', '.join(p.teams)})") for p in policy.people]
