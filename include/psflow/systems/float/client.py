"""
Float as our planner: no idempotency, and no trace of what was deleted.

Everything we make carries its effect's key in its notes (`[psx:KEY]`), a project also its code: that is how it is found
again, whoever moved it meanwhile. What the effects hold, ids and hours as text, days as YYYY-MM-DD:

* `create_project`: project_code, name or title
* `close_project`: planner_project_id (archived, with all that is booked on it)
* `request_resource`: project_code, planner_project_id, role, skills, region (None: anywhere), starts_on, ends_on,
  hours_per_day. It becomes a placeholder with one tentative allocation, whose id is the request's.
* `close_request`: planner_request_id
* `assign_resource`: as request_resource, and planner_person_id. The subject of the effect's key is the request's id,
  and is read back as the assignment's request.
* `release_resource`: planner_assignment_id, ends_on (the last day that counts)
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
from pydantic import ValidationError

from psflow.contracts import Assignment, OpenEffect, VendorProfile
from psflow.errors import ConfigurationError, NeedsReview, Rejected, TransientError, UncertainOutcome
from psflow.systems.float import mapping, mapping_writes
from psflow.systems.float.rest import Records, Rest, typed
from psflow.systems.ports import BadRow, Copy, Page, PlannedPerson, Pulled, Undo
from psflow.systems.transport import Transport


@dataclass(slots=True)
class Float:
    """
    The `Planner` port. `currency` is the account's, which no record names; `contact` is a mail address Float wants.

    `app_url` is where people see the schedule; `zone` is the account's: it says without one when something
    changed. What it will not take becomes Rejected with its own message.
    """

    transport: Transport
    profile: VendorProfile
    token: str = field(repr=False)
    currency: str
    contact: str
    app_url: str
    instance: str = ""
    key: str = "float"
    zone: dt.tzinfo = dt.UTC
    _rest: Rest = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.instance = self.instance or urlsplit(self.transport.base_url).hostname or ""
        self._rest = Rest(self.transport, self.token, self.contact)

    # -- reads

    def people(self) -> Iterator[Page[PlannedPerson]]:
        """Yield pages of all people, archived ones included; placeholders are not people."""
        for rows in self._people(patient=True):
            yield _page(
                ((key, raw) for key, raw in rows if not _is_placeholder(raw)),
                lambda raw: [mapping.planned_person(typed(raw, mapping.Person), self.currency)],
            )

    def read_again(self, stream: str, record_id: str, payload: str) -> Page[Any]:
        """Return a page of one kept person. Raises NeedsReview for bookings, which count in their window only."""
        if stream != "resource":
            raise NeedsReview(f"an {stream} of Float is read with its whole window; correct it there")
        return _page(
            [(record_id, msgspec.Raw(payload.encode()))],
            lambda raw: [mapping.planned_person(typed(raw, mapping.Person), self.currency)],
        )

    def assignments(self, from_day: dt.date, to_day: dt.date) -> Iterator[Page[Assignment]]:
        """
        Yield pages of what people are booked for within the window, repetitions one by one; a placeholder's is demand.

        Read is all that began before the window ends: whether Float's own window counts repetitions is not documented.
        """
        people = {key for rows in self._people(patient=True) for key, raw in rows if not _is_placeholder(raw)}

        def read(raw: msgspec.Raw) -> list[Assignment]:
            found = mapping.assignments(typed(raw, mapping.Booking), from_day, to_day, self.zone)
            return [each for each in found if each.resource_ref in people]

        for rows in self._rest.scan("tasks", patient=True, start_date="1970-01-01", end_date=str(to_day)):
            yield _page(rows, read)

    def _people(self, patient: bool = False, **asked: str) -> Iterator[Records]:
        for active in ("1", "0"):  # whether archived ones come unasked is not documented
            yield from self._rest.scan("people", patient, **asked, active=active)

    # -- writes

    def perform(self, effect: OpenEffect) -> str:
        """Do what the effect says unless it is done already, and return the id of project or allocation."""
        return self.find(effect) or self._writer(effect)(effect)

    def find(self, effect: OpenEffect) -> str | None:
        """
        Return the project or allocation this effect made or ended, or None.

        Raises NeedsReview when more than one carries its key.
        """
        self._writer(effect)
        given = effect.payload
        if effect.capability == "create_project":
            found = (str(p.project_id) for p in self._projects(effect.key, given))
            return _only(found, given["project_code"], "projects")
        if effect.capability == "close_project":
            return self._archived(given["planner_project_id"])
        if effect.capability == "close_request":
            return self._closed(given["planner_request_id"])
        if effect.capability == "release_resource":
            return self._released(given["planner_assignment_id"], dt.date.fromisoformat(given["ends_on"]))
        booked = self._rest.scan("tasks", project_id=given["planner_project_id"])
        return _only(_carrying(booked, effect.key), effect.key, "allocations")

    def copies(self, capability: str, key: str, payload: dict[str, Any]) -> list[Copy]:
        """Return the projects or allocations that carry an effect's key."""
        if capability == "create_project":
            found = self._projects(key, payload)
            return [Copy(str(p.project_id), "open" if p.active else "closed") for p in found]
        if capability not in ("request_resource", "assign_resource"):
            return []
        tasks = set(_carrying(self._rest.scan("tasks", project_id=payload["planner_project_id"]), key))
        if capability == "assign_resource":
            return [Copy(task, "open") for task in sorted(tasks)]
        return [Copy(task, "closed" if self._closed(task) else "open") for task in sorted(tasks)]

    def undo(self, capability: str, payload: dict[str, Any], external_id: str, ends_on: dt.date) -> Undo | None:
        """Archive a project or a placeholder, end an allocation."""
        if capability == "create_project":
            return Undo("close_project", {"planner_project_id": external_id})
        if capability == "request_resource":
            request = {"request_id": payload["request_id"], "planner_request_id": external_id}
            return Undo("close_request", request)
        ended = {"planner_assignment_id": external_id, "ends_on": ends_on.isoformat()}
        return Undo("release_resource", ended) if capability == "assign_resource" else None

    def url(self, kind: str, external_id: str) -> str:
        """Return the project's page, or the schedule: an allocation has no page of its own."""
        home = self.app_url.rstrip("/")
        return f"{home}/projects?project={quote(external_id, safe='')}" if kind == "project" else f"{home}/"

    def _writer(self, effect: OpenEffect) -> Callable[[OpenEffect], str]:
        writers: dict[str, Callable[[OpenEffect], str]] = {
            "create_project": self._create_project,
            "close_project": self._close_project,
            "request_resource": self._request,
            "close_request": self._close,
            "assign_resource": self._assign,
            "release_resource": self._release,
        }
        if effect.capability not in writers:
            raise ConfigurationError(
                f"{self.key} has no capability {effect.capability!r}; it has {', '.join(sorted(writers))}"
            )
        return writers[effect.capability]

    def _create_project(self, effect: OpenEffect) -> str:
        return self._rest.post(effect, "projects", mapping_writes.project(effect.payload, effect.key))

    def _close_project(self, effect: OpenEffect) -> str:
        project_id: str = effect.payload["planner_project_id"]
        self._rest.patch(effect, "projects", project_id, {"active": 0})
        return project_id

    def _request(self, effect: OpenEffect) -> str:
        """Make the placeholder unless it is there, then book it: two writes, each found again by the same key."""
        stand_ins = self._people(people_type_id=str(mapping.PLACEHOLDER))
        known = _only(_carrying(stand_ins, effect.key), effect.key, "placeholders")
        person = known or self._rest.post(effect, "people", mapping_writes.placeholder(effect.payload, effect.key))
        body = mapping_writes.booking(effect.payload, effect.key, int(person), mapping.TENTATIVE)
        try:
            return self._rest.post(effect, "tasks", body)
        except TransientError as error:
            if known:
                raise
            # sent again at once, it would not see the new placeholder yet and make a second one
            raise UncertainOutcome(f"{error}; placeholder {person} is made, its allocation is not") from None

    def _assign(self, effect: OpenEffect) -> str:
        person = int(effect.payload["planner_person_id"])
        body = mapping_writes.booking(effect.payload, effect.key, person, mapping.CONFIRMED)
        return self._rest.post(effect, "tasks", body)

    def _close(self, effect: OpenEffect) -> str:
        """Archive the placeholder: it leaves the schedule with its allocation, and both are kept."""
        request_id: str = effect.payload["planner_request_id"]
        task = self._rest.one("tasks", request_id, mapping.Booking)
        person = self._stand_in(task) if task else None
        if person is None:
            raise Rejected(f"float: allocation {request_id} went to somebody by hand; keep that or what was matched")
        self._rest.patch(effect, "people", person.people_id, {"active": 0})
        return request_id

    def _release(self, effect: OpenEffect) -> str:
        """
        End an allocation on its last day that counts.

        Float takes no end before the start, and no status of its own frees hours. So one of which no day counts is
        deleted, but only before it begins: until then it is a plan, from then on history.
        """
        task_id, ends_on = effect.payload["planner_assignment_id"], dt.date.fromisoformat(effect.payload["ends_on"])
        task = self._rest.one("tasks", task_id, mapping.Booking)
        if task is None or len(task.people) > 1:
            raise Rejected(f"float: allocation {task_id} is one of several people; take the one off in Float")
        if ends_on >= task.start_date:
            self._rest.patch(effect, "tasks", task_id, mapping_writes.ended(task, ends_on))
        elif task.start_date > dt.datetime.now(self.zone).date():
            self._rest.delete(effect, "tasks", task_id)
        else:
            raise Rejected(f"float: allocation {task_id} began on {task.start_date}; no earlier day can be its last")
        return str(task_id)

    # -- what is there

    def _projects(self, key: str, payload: dict[str, Any]) -> list[mapping.Project]:
        """Return the projects with this code, but those of another epoch: they carry its key and stay closed."""
        pages = (page for active in ("1", "0") for page in self._rest.scan("projects", active=active))
        found = [typed(raw, mapping.Project) for page in pages for _, raw in page]
        of_code = {p.project_id: p for p in found if p.project_code == payload["project_code"]}
        return [p for _, p in sorted(of_code.items()) if key in (mapping.marked(p.notes) or [key])]

    def _archived(self, project_id: str) -> str | None:
        project = self._rest.one("projects", project_id, mapping.Project)
        return project_id if project is None or not project.active else None

    def _closed(self, request_id: str) -> str | None:
        task = self._rest.one("tasks", request_id, mapping.Booking)
        person = self._stand_in(task) if task else None
        return request_id if task is None or (person and not person.active) else None

    def _released(self, task_id: str, ends_on: dt.date) -> str | None:
        task = self._rest.one("tasks", task_id, mapping.Booking)
        return task_id if task is None or mapping_writes.last_day(task) <= ends_on else None

    def _stand_in(self, task: mapping.Booking) -> mapping.Person | None:
        """Return the placeholder that was made with this allocation, None when it is somebody else's by now."""
        person = self._rest.one("people", task.people[0], mapping.Person) if len(task.people) == 1 else None
        if person is None or person.people_type_id != mapping.PLACEHOLDER:
            return None
        return person if set(mapping.marked(person.notes)) & set(mapping.marked(task.notes)) else None


def _page(rows: Iterable[tuple[str, msgspec.Raw]], read: Callable[[msgspec.Raw], list[Any]]) -> Page[Any]:
    page: Page[Any] = Page([], [])
    for record_id, raw in rows:
        payload = bytes(raw).decode()
        try:
            found = read(raw)
        except NeedsReview as error:
            page.bad.append(BadRow(record_id, str(error), payload))
        except ValidationError as error:  # its own words repeat the value
            said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            page.bad.append(BadRow(record_id, said, payload))
        else:
            page.rows.extend(Pulled(record_id, each, payload, getattr(each, "modified_at", None)) for each in found)
    return page


class _Kind(msgspec.Struct):
    people_type_id: object = None


class _Notes(msgspec.Struct):
    notes: str | None = None


def _is_placeholder(raw: msgspec.Raw) -> bool:
    return msgspec.json.decode(raw, type=_Kind).people_type_id == mapping.PLACEHOLDER


def _carrying(pages: Iterator[Records], key: str) -> Iterator[str]:
    return (record_id for page in pages for record_id, raw in page if key in mapping.marked(typed(raw, _Notes).notes))


def _only(found: Iterable[str], key: str, what: str) -> str | None:
    """Return the one id that carries a key, None for none. Raises NeedsReview for more."""
    ids = sorted(set(found), key=int)
    if len(ids) > 1:
        raise NeedsReview(f"float: {what} {', '.join(ids)} all carry {key}; keep one and remove the others")
    return ids[0] if ids else None
