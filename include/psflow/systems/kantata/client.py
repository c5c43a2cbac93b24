"""
Kantata OX as our PSA: a bearer that never expires, keyed maps, no idempotency.

A lost create is found again by what its record carries only. Source: developer.kantata.com, API v1.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from psflow.contracts import Milestone, RateCard, Resource, Task
from psflow.contracts.text import storable
from psflow.errors import NeedsReview, Rejected
from psflow.systems.kantata import mapping, mapping_billing, mapping_delivery
from psflow.systems.kantata.wire import page_of, typed
from psflow.systems.kantata.writes import Writes
from psflow.systems.ports import Bill, ExpensePage, Page, Pulled, TimePage

_ONLY = 100  # ids of one look-up; an address may not grow without end

T = TypeVar("T")


@dataclass(slots=True)
class Kantata(Writes):
    """The `Psa` port; see `Wire` for its settings and `Writes` for its capabilities."""

    beside: mapping_delivery.Beside = mapping_delivery.NOTHING_BESIDE

    def resources(self) -> Iterator[Page[Resource]]:
        """Yield pages of all people with the name of their role, their address and their skills."""
        roles, skills = self._roles(), self._skills()
        for page in self._scan("users", {"include": "role"}):
            yield page_of(page.records, lambda raw: mapping.resource(typed(raw, mapping.User), roles, skills))

    def rate_cards(self) -> Iterator[Page[RateCard]]:
        """Yield pages of all rate cards that price something. Raises NeedsReview when a dated price is misshapen."""
        known = mapping.Rates(
            roles=self._roles(),
            sets={s.id: s for s in self._all("rate_card_sets", mapping.CardSet)},
            set_versions=self._all("rate_card_set_versions", mapping.SetVersion, "rate_card_set"),
            versions=self._all("rate_card_versions", mapping.CardVersion, "rate_card,rate_card_set_version"),
            card_roles=self._all("rate_card_roles", mapping.CardRole, "role,rate_card_version"),
        )
        for page in self._scan("rate_cards", {"include": "rate_card_set"}):
            read = page_of(page.records, lambda raw: mapping.rate_card(typed(raw, mapping.Card), known))
            yield Page([Pulled(r.record_id, r.record, r.payload) for r in read.rows if r.record is not None], read.bad)

    def time_entries(self, since: dt.datetime | None) -> Iterator[TimePage]:
        """Yield pages of time entries updated after `since`, oldest change first, those of archived projects too."""
        roles = self._roles()
        for page in self._scan("time_entries", _changed(since) | {"from_archived_workspaces": "true"}):
            yield mapping_delivery.time_page(page.records, roles, self.beside)

    def time_entry_ids(self, worked_from: dt.date) -> Iterator[str]:
        """Yield the id of every entry worked on that day or later, since Kantata keeps no trace of what is deleted."""
        asked = {"date_performed_between": f"{worked_from}:9999-12-31", "from_archived_workspaces": "true"}
        for page in self._scan("time_entries", _changed(None) | asked):
            yield from (key for key, _ in page.records)

    def expenses(self, since: dt.datetime | None) -> Iterator[ExpensePage]:
        """
        Yield pages of expenses updated after `since`, oldest change first, those of archived projects too.

        Then those whose report was decided since: an approval is a change of the report, not of the expense.
        """
        seen = set[str]()
        for asked in (_changed(since), *self._decided(since)):
            asked = asked | {"include": "active_submission,workspace", "from_archived_workspaces": "true"}
            for page in self._scan("expenses", asked):
                fresh = [(key, raw) for key, raw in page.records if "only" not in asked or key not in seen]
                seen |= {key for key, _ in fresh}
                yield mapping_delivery.expense_page(page._replace(records=fresh))

    def tasks(self, since: dt.datetime | None) -> Iterator[Page[Task]]:
        """Yield pages of tasks updated after `since`, oldest change first, archived ones too."""
        return self._stories("task", since, mapping_delivery.task)

    def milestones(self, since: dt.datetime | None) -> Iterator[Page[Milestone]]:
        """Yield pages of milestones updated after `since`, oldest change first, archived ones too."""
        return self._stories("milestone", since, mapping_delivery.milestone)

    def bills(self, since: dt.datetime | None) -> Iterator[Page[Bill]]:
        """Yield pages of invoices updated after `since`, oldest change first, with all that they bill."""
        for page in self._scan("invoices", _changed(since) | {"include": ",".join(mapping_billing.INCLUDE)}):
            read = mapping_billing.reader(page)
            yield page_of(page.records, lambda raw, read=read: read(typed(raw, mapping_billing.Invoice)))  # type: ignore[misc]

    def read_again(self, stream: str, record_id: str, payload: str) -> Page[Any] | TimePage:
        """Return a page of one kept person, task, milestone or time entry. Raises NeedsReview for prices, expenses."""
        records = [(record_id, msgspec.Raw(payload.encode()))]
        if stream == "resource":
            roles, skills = self._roles(), self._skills()
            return page_of(records, lambda raw: mapping.resource(typed(raw, mapping.User), roles, skills))
        if stream == "time_entry":
            return mapping_delivery.time_page(records, self._roles(), self.beside)
        reads: dict[str, Callable[[mapping_delivery.Story], Any]]
        reads = {"task": mapping_delivery.task, "milestone": mapping_delivery.milestone}
        if stream not in reads:
            raise NeedsReview(f"a {stream} of Kantata is read with records beside it; correct it there")
        return page_of(records, lambda raw: reads[stream](typed(raw, mapping_delivery.Story)))

    def url(self, kind: str, external_id: str) -> str:
        """Return the project's page."""
        return f"{self.app_url.rstrip('/')}/workspaces/{quote(external_id, safe='')}"

    def _stories(
        self, story_type: str, since: dt.datetime | None, read: Callable[[mapping_delivery.Story], T]
    ) -> Iterator[Page[T]]:
        shown = {"show_archived": "true", "show_from_archived_workspaces": "true"}
        for page in self._scan("stories", _changed(since) | shown | {"story_type": story_type}):
            yield page_of(page.records, lambda raw: read(typed(raw, mapping_delivery.Story)))

    def _decided(self, since: dt.datetime | None) -> Iterator[dict[str, str]]:
        """Yield what to ask for to get the expenses of the reports changed since; a full read has them all."""
        if since is None:
            return
        for page in self._scan("expense_report_submissions", _changed(since) | {"include": "expenses"}):
            reports = [typed(raw, mapping_delivery.Submission) for _, raw in page.records]
            ids = sorted({expense for report in reports for expense in report.expense_ids})
            for start in range(0, len(ids), _ONLY):
                yield {"only": ",".join(ids[start : start + _ONLY])}

    def _roles(self) -> dict[str, str]:
        return {role.id: storable(role.name) for role in self._all("roles", mapping.Role)}

    def _skills(self) -> dict[str, list[str]]:
        """Return person id -> names of skills; nothing where the account has no skills module."""
        try:
            held = self._all("skill_memberships", mapping.SkillMembership, "skill,user")
        except Rejected as refused:
            if refused.code != "403":
                raise
            return {}
        return mapping.skills(held)


def _changed(since: dt.datetime | None) -> dict[str, str]:
    return {"order": "updated_at:asc"} | ({} if since is None else {"updated_after": since.isoformat()})
