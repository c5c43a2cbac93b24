"""
What psflow may do in Kantata. No create is idempotent there: a lost one is found by the key its record carries.

A person is put on a workspace in two steps (a place for the person, then an allocation of hours to that place); the
place is looked for before it is made, so an assignment that broke off in between goes on where it stopped.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from psflow.contracts import OpenEffect
from psflow.errors import ConfigurationError, NeedsReview, Rejected
from psflow.systems.kantata import mapping, mapping_writes
from psflow.systems.kantata.wire import Wire
from psflow.systems.ports import Copy, Undo

_REQUEST = "request_resource"


@dataclass(slots=True)
class Writes(Wire):
    """Capabilities: create_project (from a template when one is named), close_project and the others below."""

    def perform(self, effect: OpenEffect) -> str:
        """
        Send this effect by its capability and return Kantata's id.

        create_project, close_project: the workspace. assign_resource: the allocation. request_resource: the staffing
        demand. update_milestone: the story. Raises ConfigurationError, nothing sent, when the payload lacks a field.
        """
        send = self._capability(effect)[0]
        try:
            return send(effect)
        except KeyError as missing:
            raise ConfigurationError(f"{self.key}: {effect.key}: the payload has no field {missing}") from None

    def find(self, effect: OpenEffect) -> str | None:
        """
        Return the id under which this effect landed: by the key it carries, or because the state is as asked.

        Raises NeedsReview when more than one record carries the key.
        """
        return self._capability(effect)[1](effect)

    def copies(self, capability: str, key: str, payload: dict[str, Any]) -> list[Copy]:
        """Return the workspaces, allocations or demands that carry an effect's key."""
        if capability == "create_project":
            found = self._referring("workspaces", key, mapping_writes.ENGAGEMENT, include_archived="true")
            return [Copy(w["id"], "closed" if w.get("archived") is True else "open") for w in found]
        if capability == "assign_resource":
            found = self._referring("workspace_allocations", key, mapping_writes.ASSIGNMENT)
            return [Copy(allocation["id"], "open") for allocation in found]
        return [Copy(demand, "open") for demand in self._demands(key, payload)] if capability == _REQUEST else []

    def undo(self, capability: str, payload: dict[str, Any], external_id: str, ends_on: dt.date) -> Undo | None:
        """Archive a workspace; Kantata has no state that ends an allocation or a demand."""
        return Undo("close_project", {"psa_project_id": external_id}) if capability == "create_project" else None

    def _capability(self, effect: OpenEffect) -> tuple[Callable[[OpenEffect], str], Callable[[OpenEffect], str | None]]:
        both = {
            "create_project": (self._create_project, self._find_project),
            "close_project": (self._close_project, self._find_closed),
            "assign_resource": (self._assign, self._find_assignment),
            _REQUEST: (self._request, self._find_request),
            "update_milestone": (self._update_milestone, self._find_milestone),
        }
        if effect.capability not in both:
            raise ConfigurationError(f"{self.key} has no capability {effect.capability!r}; it has {', '.join(both)}")
        return both[effect.capability]

    # -- projects

    def _create_project(self, effect: OpenEffect) -> str:
        body = mapping_writes.workspace(effect.payload, effect.key, self._template(effect))
        return self._sent(effect, "POST", "workspaces", body)

    def _find_project(self, effect: OpenEffect) -> str | None:
        return self._carrying(effect, "workspaces", mapping_writes.ENGAGEMENT, include_archived="true")

    def _close_project(self, effect: OpenEffect) -> str:
        path = f"workspaces/{quote(str(effect.payload['psa_project_id']), safe='')}"
        return self._sent(effect, "PUT", path, {"workspace": {"archived": True}})

    def _find_closed(self, effect: OpenEffect) -> str | None:
        project = str(effect.payload["psa_project_id"])
        found = self._look("workspaces", {"only": project, "include_archived": "true"})
        return project if any(w.get("archived") is True for w in found) else None

    def _template(self, effect: OpenEffect) -> str | None:
        """Return the id of the template the payload names. Raises Rejected unless exactly one has that title."""
        title = effect.payload.get("template")
        if title is None:
            return None
        found = [t.id for t in self._all("project_templates", mapping.Template) if t.title == title]
        if len(found) != 1:
            raise Rejected(
                f"{self.key}: {effect.key}: {len(found)} project templates are named {title!r}; "
                "name one that exists once in Kantata",
                "template",
            )
        return found[0]

    # -- people

    def _assign(self, effect: OpenEffect) -> str:
        fields = mapping_writes.allocation(effect.payload, effect.key)  # read whole before anything is sent
        body = {"workspace_allocation": fields | {"resource_id": self._place(effect)}}
        return self._sent(effect, "POST", "workspace_allocations", body)

    def _find_assignment(self, effect: OpenEffect) -> str | None:
        return self._carrying(effect, "workspace_allocations", mapping_writes.ASSIGNMENT)

    def _place(self, effect: OpenEffect) -> str:
        """Return the person's place on the workspace, made now when there is none."""
        project, person = str(effect.payload["psa_project_id"]), str(effect.payload["psa_person_id"])
        for place in self._all("workspace_resources", mapping.Place, "workspace,user", workspace_id=project):
            if (place.workspace_id, place.user_id) == (project, person):
                return place.id
        body = mapping_writes.place(project, person, self._role(effect), effect.key)
        return self._sent(effect, "POST", "workspace_resources", body)

    def _request(self, effect: OpenEffect) -> str:
        body = mapping_writes.demand(effect.payload, effect.key, self._role(effect))
        return self._sent(effect, "POST", "staffing_demands", body)

    def _find_request(self, effect: OpenEffect) -> str | None:
        return self._one(self._demands(effect.key, effect.payload), effect)

    def _demands(self, key: str, payload: dict[str, Any]) -> list[str]:
        """Look at the workspace's demands one by one: theirs come without external references."""
        project = str(payload["psa_project_id"])
        demands = self._all("staffing_demands", mapping.Demand, workspace_id=project)
        return [d.id for d in demands if mapping_writes.carries(d.description, key)]

    def _role(self, effect: OpenEffect) -> str:
        """Return the id of the role the payload names. Raises Rejected when there is none."""
        wanted = effect.payload["role"]
        for role in self._all("roles", mapping.Role):
            if role.name == wanted:
                return role.id
        raise Rejected(f"{self.key}: {effect.key}: there is no role {wanted!r}; add it in Kantata", "role")

    # -- milestones

    def _update_milestone(self, effect: OpenEffect) -> str:
        path = f"stories/{quote(str(effect.payload['psa_milestone_id']), safe='')}"
        return self._sent(effect, "PUT", path, {"story": mapping_writes.milestone(effect.payload)})

    def _find_milestone(self, effect: OpenEffect) -> str | None:
        story, wanted = str(effect.payload["psa_milestone_id"]), mapping_writes.milestone(effect.payload)
        asked = {"only": story, "show_archived": "true", "show_from_archived_workspaces": "true"}
        found = self._look("stories", asked)
        return story if any(all(s.get(name) == value for name, value in wanted.items()) for s in found) else None

    # -- found again

    def _carrying(self, effect: OpenEffect, kind: str, model: str, **more: str) -> str | None:
        return self._one([record["id"] for record in self._referring(kind, effect.key, model, **more)], effect)

    def _referring(self, kind: str, key: str, model: str, **more: str) -> list[dict[str, Any]]:
        wanted = mapping_writes.reference(key, model)
        return self._look(kind, {f"external_reference_{name}": value for name, value in wanted.items()} | more)

    def _one(self, ids: list[str], effect: OpenEffect) -> str | None:
        if len(ids) > 1:
            raise NeedsReview(
                f"{self.key}: {', '.join(sorted(ids))} all carry {effect.key}; keep one, archive the others "
                "and remove their external reference"
            )
        return ids[0] if ids else None
