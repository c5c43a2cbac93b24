"""
Demand becomes requests in the planner, and each request a person, before kickoff.

A match is decided once, under a lock, and then sent to planner and PSA; it is confirmed when both have it. A request
that nobody can take is an exception of resource management, and is matched again in the next run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any

from psflow.config import Config
from psflow.contracts import Resource, ResourceRequest
from psflow.errors import Withheld
from psflow.flows.effects import drive
from psflow.flows.read_back import read_back
from psflow.rules.staffing import Free, Match, Unstaffed, match
from psflow.store import crosswalk, effects, exceptions
from psflow.store.connection import Row, Store, sql
from psflow.store.effects import NewEffect
from psflow.systems.ports import Planner, Psa, System

_ENTITY = "resource_request"


def ask(store: Store, engagement_id: str, subject: str) -> None:
    """Write down the demand of a deal, in the caller's transaction; it changes until a project may carry it."""
    _alone(store)
    store.run(sql("warehouse.staffing", "requests"), engagement_id=engagement_id, subject=subject)


def close(store: Store, engagement_id: str, epoch: int, ends_on: dt.date) -> None:
    """End the demand of a compensated deal and free who was matched to it after a day, in the caller's transaction."""
    _alone(store)
    store.run(sql("warehouse.staffing", "close"), engagement_id=engagement_id, epoch=epoch, ends_on=ends_on)


def _alone(store: Store) -> None:
    """Wait for the one matcher, or be it, until the transaction ends: free hours are shared."""
    store.run("select pg_advisory_xact_lock(hashtext('psflow.staffing'))")


def request(store: Store, config: Config, planner: Planner, engagement_id: str, epoch: int) -> int:
    """Show the demand of a running engagement in the planner; returns how many requests it has there now."""
    rows = store.rows(sql("warehouse.staffing", "demand"), **_at(planner), engagement_id=engagement_id, epoch=epoch)
    sent = _send(store, config, planner, "request_resource", rows, lambda row: _asked(row) | {
        "planner_project_id": row["planner_project_id"],
    })  # fmt: skip
    with store.transaction("staffing.requested"):
        for request_id, external_id in sent.items():
            crosswalk.link(store, _ENTITY, request_id, planner, external_id)
    return len(sent)


def staff(store: Store, config: Config, planner: Planner, psa: Psa) -> dict[str, int]:
    """
    Match what is open, send what is matched, and return how many requests are assigned now and how many wait.

    Raises Withheld at the end when policy lets some not out; those of other deals are sent before.
    """
    unstaffed, assigned, withheld = _decide(store, config), 0, list[str]()
    rows = sorted(_sendable(store, config, planner, psa), key=itemgetter("engagement_id", "request_id"))
    for _, deal in groupby(rows, key=itemgetter("engagement_id")):
        try:
            assigned += _assign(store, config, planner, psa, list(deal))
        except Withheld as error:
            withheld.append(str(error))
    if withheld:
        raise Withheld("; ".join(withheld))
    return {"assigned": assigned, "unstaffed": unstaffed}


def _assign(store: Store, config: Config, planner: Planner, psa: Psa, rows: list[Row]) -> int:
    """Send what is matched for one deal to both systems and return how many are assigned now. Raises Withheld."""
    planned = _send(store, config, planner, "assign_resource", rows, lambda row: _asked(row) | {
        "planner_person_id": row["planner_person_id"], "planner_project_id": row["planner_project_id"],
        "planner_request_id": row["planner_request_id"],
    })  # fmt: skip
    delivered = _send(store, config, psa, "assign_resource", rows, lambda row: _asked(row) | {
        "psa_person_id": row["psa_person_id"], "psa_project_id": row["psa_project_id"],
    })  # fmt: skip
    answered = [row for row in rows if row["request_id"] in planned and row["planner_request_id"]]
    _send(store, config, planner, "close_request", answered, lambda row: {
        "request_id": row["request_id"], "planner_request_id": row["planner_request_id"],
    })  # fmt: skip
    _confirm(store, planner, psa, planned, delivered)
    return len(planned.keys() & delivered.keys())


def _decide(store: Store, config: Config) -> int:
    """Write down who takes what, and open an exception for each request nobody can take; returns how many those are."""
    with store.transaction("staffing.decided"):
        _alone(store)
        rows = {row["request_id"]: row for row in store.rows(sql("warehouse.staffing", "open"))}
        asked = [ResourceRequest(**{f: row[f] for f in ResourceRequest.model_fields}) for row in rows.values()]
        outcomes = match(asked, _people(store), _free(store, asked))
        taken = [o for o in outcomes if isinstance(o, Match)]
        waiting = [o for o in outcomes if isinstance(o, Unstaffed)]
        store.run_many(sql("warehouse.staffing", "assign"), [
            rows[o.request.request_id] | {"resource_id": o.resource_id} for o in taken
        ])  # fmt: skip
        _mark(store, "assigned", [o.request.request_id for o in taken])
        _mark(store, "unstaffed", [o.request.request_id for o in waiting])
        exceptions.resolve(store, "staffing", _ENTITY, [o.request.request_id for o in taken])
        exceptions.open_all(store, config, [_finding(o) for o in waiting])
    return len(waiting)


def _finding(waiting: Unstaffed) -> exceptions.Finding:
    asked = waiting.request
    message = (
        f"{asked.role} for {asked.hours_per_day:g} h a day from {asked.starts_on} to {asked.ends_on}: {waiting.message}"
    )
    return exceptions.Finding(
        "staffing", _ENTITY, asked.request_id, "resource_id", waiting.lacking, message, asked.engagement_id
    )


def _mark(store: Store, state: str, request_ids: list[str]) -> None:
    store.run(
        "update core.resource_request set state = %(state)s where request_id = any(%(ids)s) and state <> %(state)s",
        state=state, ids=request_ids,
    )  # fmt: skip


def _people(store: Store) -> list[Resource]:
    rows = store.rows("select * from core.resource where is_active order by resource_id")
    return [Resource(**{field: row[field] for field in Resource.model_fields}) for row in rows]


def _free(store: Store, asked: list[ResourceRequest]) -> Free:
    if not asked:
        return {}
    window = {"from_day": min(r.starts_on for r in asked), "to_day": max(r.ends_on for r in asked)}
    rows = store.rows(sql("warehouse.staffing", "free"), **window)
    return {(row["resource_id"], row["day"]): row["hours"] for row in rows}


def _sendable(store: Store, config: Config, planner: Planner, psa: Psa) -> list[Row]:
    """Return what is matched and not confirmed. A person or project a system does not know is told, not sent."""
    names = {"planner": planner.key, "planner_instance": planner.instance, "psa": psa.key, "psa_instance": psa.instance}
    rows = store.rows(sql("warehouse.staffing", "matched"), **names)
    needed = {"planner_person_id": planner, "planner_project_id": planner, "psa_person_id": psa, "psa_project_id": psa}
    lacking = [(row, field, system) for row in rows for field, system in needed.items() if row[field] is None]
    with store.transaction("staffing.unknown"):
        exceptions.open_all(store, config, [_unknown(*each) for each in lacking])
    unknown = {row["request_id"] for row, *_ in lacking}
    return [row for row in rows if row["request_id"] not in unknown]


def _unknown(row: Row, field: str, system: System) -> exceptions.Finding:
    what = row["resource_id"] if "person" in field else row["project_code"]
    message = f"{system.key} does not know {what}: create or link it there; the next run assigns it"
    return exceptions.Finding("staffing", _ENTITY, row["request_id"], field, what, message, row["engagement_id"])


def _send(
    store: Store, config: Config, system: System, capability: str, rows: Iterable[Row],
    payload: Callable[[Row], dict[str, Any]],
) -> dict[str, str]:  # fmt: skip
    """Register one effect a row unless it was, drive all, and return request id -> the system's id of those done."""
    new = {row["request_id"]: NewEffect(system.key, capability, row["request_id"], payload(row), row["engagement_id"])
           for row in rows}  # fmt: skip
    if not new:
        return {}
    with store.transaction("staffing.register"):
        known = effects.states(store, [effect.key for effect in new.values()])
        # what may have landed stays as it was decided
        again = {key for key, row in known.items() if row["state"] == "refused"}
        effects.register(store, [e for e in new.values() if e.key not in known or e.key in again])
    keys = [effect.key for effect in new.values()]
    drive(store, config, system, keys)
    read_back(store, config, system, keys)
    states = effects.states(store, keys)
    return {request_id: states[effect.key]["external_id"] for request_id, effect in new.items()
            if states[effect.key]["state"] == "done"}  # fmt: skip


def _confirm(store: Store, planner: Planner, psa: Psa, planned: dict[str, str], delivered: dict[str, str]) -> None:
    both = sorted(planned.keys() & delivered.keys())
    with store.transaction("staffing.confirmed"):
        for request_id in both:
            crosswalk.link(store, "assignment", request_id, planner, planned[request_id])
        store.run(
            "update core.assignment set is_confirmed = true, modified_at = clock_timestamp() "
            "where request_id = any(%(ids)s) and not is_confirmed", ids=both,
        )  # fmt: skip
        exceptions.resolve(store, "staffing", _ENTITY, both)


def _asked(row: Row) -> dict[str, Any]:
    words = {field: row[field] for field in ("request_id", "project_code", "role", "skills", "region")}
    days = {day: row[day].isoformat() for day in ("starts_on", "ends_on")}
    return words | days | {"hours_per_day": str(row["hours_per_day"])}


def _at(system: System) -> dict[str, str]:
    return {"system": system.key, "instance": system.instance}
