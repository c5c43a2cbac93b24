"""A past month billed again beside what was billed, on a page and as a workbook; nothing is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response

from psflow.config import Config
from psflow.contracts import Period
from psflow.flows import observe
from psflow.flows.observe import CAUSES, Observation
from psflow.flows.shadow import side
from psflow.store.connection import Store
from psflow.store.sight import Sight
from psflow_airflow.operators.base import opened
from psflow_airflow.pages import access
from psflow_airflow.pages.render import page

router = APIRouter()
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_SHOWN = 500  # lines of the page; the workbook has all

Entity = Annotated[str, Query(max_length=200)]
Month = Annotated[str, Query(pattern=r"^(\d{4}-(0[1-9]|1[0-2]))?$")]


def looking(request: Request, user: GetUserDep) -> Iterator[tuple[Store, Config, Sight]]:
    """Yield the store, psflow.yaml and what the user sees. The month is worked out in tables that are rolled back."""
    with opened("psflow_db") as (store, policy):
        store.run("set local statement_timeout = '15s'")
        theirs = access.sight(policy, user)
        request.state.sees = theirs.entities
        yield store, policy, theirs


Looking = Annotated[tuple[Store, Config, Sight], Depends(looking)]


@router.get("/observe")
def observed(request: Request, look: Looking, entity: Entity = "", period: Month = "") -> Response:
    """Show a month of a legal entity: billed, should be, and why, by cause and line by line."""
    _, policy, sight = look
    seen = _seen(look, entity, period) if entity and period else None
    return page(
        request, "observe.html", entities=_theirs(policy, sight), entity=entity, period=period, seen=seen, says=CAUSES,
        shown=_SHOWN, side=side,
    )  # fmt: skip


@router.get("/observe/xlsx")
def workbook(look: Looking, entity: Entity, period: Month) -> Response:
    """Return the same as a workbook, with every line that differs."""
    seen = _seen(look, entity, period)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "observe.xlsx"
        observe.write(path, seen)
        content = path.read_bytes()
    named = {"Content-Disposition": f'attachment; filename="observe-{seen.period}.xlsx"'}
    return Response(content, media_type=_XLSX, headers=named)


def _seen(look: tuple[Store, Config, Sight], entity: str, period: str) -> Observation:
    """Return the month. Raises 404 for a legal entity that is not there or not theirs to see, or for no month."""
    store, policy, sight = look
    if entity not in _theirs(policy, sight) or not period:
        raise HTTPException(404, f"there is no month {period!r} of a legal entity {entity!r}")
    return observe.observe(store, policy, entity, Period(name=period))


def _theirs(policy: Config, sight: Sight) -> list[str]:
    """Return the legal entities that somebody sees."""
    every = [entity.legal_entity_id for entity in policy.legal_entities]
    return every if sight.entities is None else [one for one in every if one in sight.entities]
