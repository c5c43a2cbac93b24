"""
People from HR, PSA and planner become one record each, with their working hours, leave, cost and assignments.

Who is who: `flows.identity`. Who may say what: `store.ownership`. A window that was read whole tells what was deleted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from functools import partial
from typing import Any

from psflow.config import Config
from psflow.contracts import Absence, Assignment, CostRate, Employment, Resource, WorkPattern
from psflow.errors import NeedsReview
from psflow.flows import identity
from psflow.flows.reading import Counts, noted, pull
from psflow.store import crosswalk, exceptions, ownership
from psflow.store.connection import Row, Store, sql
from psflow.systems.ports import Hr, PlannedPerson, Planner, System

_BACK, _AHEAD = dt.timedelta(days=1826), dt.timedelta(days=400)  # what metrics look back on, and staffing ahead


def pull_hr(store: Store, config: Config, hr: Hr) -> Counts:
    """Read all people, who employs them, and the leave of the window; return counts."""
    people = pull(store, config, hr, "resource", hr.resources(), partial(save_person, config))
    employed = pull(store, config, hr, "employment", hr.employments(), _employed)
    gone = pull(store, config, hr, "resource_deletion", hr.deleted(), _gone)
    seen: set[str] = set()
    window = _window(store)
    absences = pull(store, config, hr, "absence", noted(hr.absences(*window), seen, _day), _absence)
    with store.transaction("sync.drop_absences"):
        withdrawn = len(_drop(store, "drop_absences", hr, window, seen))
    return {"resources": people, "employed": employed, "deleted": gone, "absences": absences, "withdrawn": withdrawn}


def pull_planner(store: Store, config: Config, planner: Planner) -> Counts:
    """Read all people and the allocations of the window; return counts."""
    people = pull(store, config, planner, "resource", planner.people(), partial(_planned, config))
    seen: set[str] = set()
    began, window = store.value("select clock_timestamp()"), _window(store)
    pages = noted(planner.assignments(*window), seen, lambda record: record.assignment_id)
    read = pull(store, config, planner, "assignment", pages, _assignment)
    with store.transaction("sync.drop_assignments"):
        gone = _drop(store, "drop_assignments", planner, window, seen, began)
        exceptions.open_all(store, config, [_taken_off(planner, row) for row in gone if row["request_id"]])
    return {"resources": people, "assignments": read, "withdrawn": len(gone)}


def _taken_off(planner: Planner, row: Row) -> exceptions.Finding:
    """Tell of a confirmed booking that somebody deleted: they meant it, so nobody is booked in their place."""
    message = (
        f"{row['resource_id']} was taken off {row['project_code']} in {planner.key} by hand: take them off in the PSA, "
        "and ask for somebody else there if the work goes on"
    )
    return exceptions.Finding("staffing", "resource_request", row["request_id"], "resource_id", "taken off", message)


def save_person(config: Config, store: Store, system: System, record_id: str, person: Resource) -> str:
    """Write what this system may say about a person and return our id. Raises NeedsReview."""
    # two systems that read one new person at once would not see each other's
    store.run("select pg_advisory_xact_lock(hashtext('psflow.people'))")
    exact = store.value(
        "select resource_id from core.resource where work_email = %(email)s", email=person.work_email
    ) if person.work_email else None  # fmt: skip
    # two systems may count people alike: a number that is taken says nothing about who it is
    taken = store.value("select 1 from core.resource where resource_id = %(id)s", id=person.resource_id)
    proposed = f"{person.resource_id}@{system.key}" if taken else person.resource_id
    known = identity.resolve(store, "resource", system, record_id, person.name, exact, proposed)
    if known.is_double:
        return known.ours
    current = store.row("select * from core.resource where resource_id = %(id)s for update", id=known.ours)
    values = person.model_dump() | {"resource_id": known.ours, "skills": list(person.skills)}
    store.run(
        sql("warehouse.sync", "resource"),
        **ownership.allowed(store, config, "resource", known.ours, system, current, values),
    )
    return known.ours


def _planned(config: Config, store: Store, system: System, record_id: str, planned: PlannedPerson) -> None:
    ours = save_person(config, store, system, record_id, planned.resource)
    store.run_many(sql("warehouse.sync", "skill"), [{"skill": skill} for skill in planned.resource.skills])
    _replace(store, "work_pattern", ours, planned.patterns)
    _replace(store, "cost_rate", ours, planned.costs)


def _employed(store: Store, system: System, record_id: str, rows: tuple[Employment, ...]) -> None:
    _replace(store, "employment", _known(store, "resource", system, record_id), rows)


def _replace(store: Store, table: str, ours: str, rows: Iterable[WorkPattern | CostRate | Employment]) -> None:
    """Make a person's dated rows those of their owner; what is the same is not touched."""
    kept = [_listed(row.model_dump()) | {"resource_id": ours} for row in rows]
    store.run(sql("warehouse.sync", f"drop_{table}"), resource_id=ours, days=[row["valid_from"] for row in kept])
    store.run_many(sql("warehouse.sync", table), sorted(kept, key=lambda row: row["valid_from"]))


def _listed(values: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}  # as SQL arrays


def _gone(store: Store, system: System, record_id: str, _: None) -> None:
    """Somebody HR deleted works no more; who they were stays, since their hours do."""
    store.run(
        "update core.resource set is_active = false from ops.crosswalk known where known.kind = 'resource' "
        "and (known.system, known.instance, known.external_id) = (%(system)s, %(instance)s, %(theirs)s) "
        "and resource_id = known.entity_id and is_active",
        system=system.key, instance=system.instance, theirs=record_id,
    )  # fmt: skip


def _absence(store: Store, system: System, record_id: str, absence: Absence) -> None:
    values = absence.model_dump() | {"resource_id": _known(store, "resource", system, absence.resource_ref)}
    store.run(sql("warehouse.sync", "absence"), **values)


def _assignment(store: Store, system: System, record_id: str, assignment: Assignment) -> None:
    """Keep an allocation; one of ours, by crosswalk or marker, under its request, and dates planned by hand win."""
    known = _ours(store, system, assignment)
    values: dict[str, Any] = assignment.model_dump() | {
        "assignment_id": known or f"{system.key}:{assignment.assignment_id}",
        "request_id": known,
        "resource_id": _known(store, "resource", system, assignment.resource_ref),
        # hours on a project that is none of ours are not free either
        "project_code": crosswalk.entity(store, "project", system, assignment.project_ref),
    }
    store.run(sql("warehouse.sync", "assignment"), **values)


def _ours(store: Store, system: System, assignment: Assignment) -> str | None:
    """Return the request an allocation answers; a copy made by hand carries its marker too and answers none."""
    if known := crosswalk.entity(store, "assignment", system, assignment.assignment_id):
        return known
    marked = assignment.request_id
    return marked if marked and crosswalk.external(store, "assignment", marked, system) is None else None


def _day(absence: Absence) -> str:
    return f"{absence.absence_id}|{absence.absent_on}"


def _known(store: Store, kind: str, system: System, external_id: str) -> str:
    ours = crosswalk.entity(store, kind, system, external_id)
    if ours is None:
        raise NeedsReview(f"{system.key} {kind} {external_id} is none of ours yet; it is read again with the next sync")
    return ours


def _window(store: Store) -> tuple[dt.date, dt.date]:
    today: dt.date = store.value("select current_date")
    return today - _BACK, today + _AHEAD


def _drop(
    store: Store, statement: str, system: System, window: tuple[dt.date, dt.date], seen: set[str],
    began: dt.datetime | None = None,
) -> list[Row]:  # fmt: skip
    """
    Drop and return what the system no longer has in a window that was read to its end; raw keeps what it was.

    An answer without anything is not believed: more likely our login may no longer see it.
    """
    if not seen:
        return []
    return store.rows(sql("warehouse.sync", statement), system=system.key, from_day=window[0], to_day=window[1],
                      seen=sorted(seen), began=began)  # fmt: skip
