"""The plan of a billing batch, as its approvers see it, with who decided what; and as a workbook."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi import APIRouter, HTTPException, Request, Response

from psflow.errors import ConfigurationError
from psflow.flows import billing_plan
from psflow.flows.billing_plan import COLUMNS, NUMBERS, TABLES, Plan
from psflow.flows.billing_plan_sheets import sheets
from psflow.store.connection import Store
from psflow.store.sight import Sight
from psflow.workbook import write
from psflow_airflow.pages import access
from psflow_airflow.pages.access import Reading
from psflow_airflow.pages.render import page

router = APIRouter()
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_COUNTS = {"charges", "invoices", "hours", "billed_hours", "tax_pct"}


@router.get("/plan")
def plans(request: Request, read: Reading) -> Response:
    """Show the batches, the newest first."""
    store, _, sight = read
    return page(request, "plans.html", rows=billing_plan.batches(store, sight.entities))


@router.get("/plan/{batch_id}")
def plan(request: Request, read: Reading, batch_id: str) -> Response:
    """Show what a batch would post, what is held, what changed, and who decided."""
    store, policy, sight = read
    found = _plan(store, sight, batch_id)
    return page(
        request, "plan.html", plan=found, facts=billing_plan.facts(found), names=access.people(policy),
        decisions=billing_plan.decisions(store, batch_id), tables=TABLES, says=COLUMNS, money=NUMBERS - _COUNTS,
        counts=_COUNTS,
    )  # fmt: skip


@router.get("/plan/{batch_id}/xlsx")
def workbook(read: Reading, batch_id: str) -> Response:
    """Return the plan as a workbook."""
    store, _, sight = read
    found = _plan(store, sight, batch_id)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "plan.xlsx"
        write(path, sheets(store, found))
        content = path.read_bytes()
    return Response(
        content, media_type=_XLSX, headers={"Content-Disposition": f'attachment; filename="{_name(found)}"'}
    )


def _plan(store: Store, sight: Sight, batch_id: str) -> Plan:
    """Return a batch's plan. Raises 404 for one that is not there or not theirs to see."""
    try:
        found = billing_plan.of(store, batch_id)
    except ConfigurationError:
        found = None
    if found is None or (sight.entities is not None and found.batch["legal_entity_id"] not in sight.entities):
        raise HTTPException(404, f"there is no billing batch {batch_id!r}")
    return found


def _name(found: Plan) -> str:
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in found.batch["batch_id"])
    return f"plan-{kept}.xlsx"
