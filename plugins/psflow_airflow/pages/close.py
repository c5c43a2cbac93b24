"""Months by legal entity, and of one month its controls: numbers, hash, who signed, what breaks, each version."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response

from psflow.store.connection import Row, Store, sql
from psflow.store.sight import Sight
from psflow_airflow.pages import access, links
from psflow_airflow.pages.access import Reading
from psflow_airflow.pages.render import page

router = APIRouter()
Entity = Annotated[str, Path(max_length=200)]
Month = Annotated[str, Path(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
Version = Annotated[int | None, Query(ge=1, lt=2**31)]
_LEADS_TO = {"project": "trace?id=", "invoice": "explain?id=", "line": "explain?id=", "charge": "explain?id=",
             "time": "trace?id=", "expense": "trace?id=", "batch": "plan/", "entry": "trace?id="}  # fmt: skip


@router.get("/close")
def months(request: Request, read: Reading) -> Response:
    """Show each legal entity's months, the newest first, with their state."""
    store, policy, sight = read
    rows = store.rows(sql("warehouse.period", "months"), entities=_seen(sight))
    entities = [e.legal_entity_id for e in policy.legal_entities if _sees(sight, e.legal_entity_id)]
    return page(
        request, "closes.html", entities=entities, months=sorted({row["period"] for row in rows}, reverse=True),
        cells={(row["legal_entity_id"], row["period"]): row for row in rows}, names=access.people(policy),
    )  # fmt: skip


@router.get("/close/{entity}/{period}")
def month(request: Request, read: Reading, entity: Entity, period: Month, version: Version = None) -> Response:
    """Show one version of a month's controls, the newest unless said. Raises 404 for what is not theirs to see."""
    store, policy, sight = read
    if not _sees(sight, entity) or entity not in {e.legal_entity_id for e in policy.legal_entities}:
        raise HTTPException(404, f"there is no legal entity {entity!r}")
    where = {"entity": entity, "period": period}
    versions = store.rows(sql("warehouse.period", "versions"), **where)
    shown = next((row for row in versions if version in (None, row["version"])), None)
    if version and shown is None:
        raise HTTPException(404, f"{entity} {period} has no version {version}")
    return page(
        request, "close.html", entity=entity, period=period, versions=versions, shown=shown, run=links.run,
        controls=_controls(store, shown), records=_records(store, shown), events=_events(store, entity, period),
        state=store.value(_STATE, **where) or "open", names=access.people(policy),
        work=[row["what"] for row in store.rows("select what from core.open_work(%(entity)s, %(period)s)", **where)],
    )  # fmt: skip


def _controls(store: Store, shown: Row | None) -> list[Row]:
    if shown is None:
        return []
    return store.rows(
        "select * from ops.close_control where close_id = %(close)s order by length(control), control",
        close=shown["close_id"],
    )


def _records(store: Store, shown: Row | None) -> dict[str, list[Row]]:
    """Return control -> its records that break or say more, the breaks first, each with its link."""
    found: dict[str, list[Row]] = {}
    if shown is not None:
        for row in store.rows(sql("warehouse.period", "records"), close=shown["close_id"]):
            kind, _, name = row["record_id"].partition(" ")
            row["link"], row["name"] = _LEADS_TO.get(kind), name
            found.setdefault(row["control"], []).append(row)
    return found


def _events(store: Store, entity: str, period: str) -> list[Row]:
    return store.rows(
        "select * from ops.period_event where (legal_entity_id, period) = (%(entity)s, %(period)s) "
        "order by event_id desc",
        entity=entity, period=period,
    )  # fmt: skip


def _sees(sight: Sight, entity: str) -> bool:
    return sight.entities is None or entity in sight.entities


def _seen(sight: Sight) -> list[str] | None:
    return None if sight.entities is None else list(sight.entities)


_STATE = "select state from core.period where (legal_entity_id, period) = (%(entity)s, %(period)s)"
