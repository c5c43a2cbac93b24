"""
Hours on projects whose invoices the ERP makes: one timesheet line an entry, which says what the entry says now.

A line's own unique key cannot be written over RPC (Tryton 8.2), so its description carries entry and version; an older
version never replaces a newer one. Hours that are taken back stay as a line of none: nothing is deleted.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from psflow.contracts import OpenEffect
from psflow.errors import NeedsReview, Rejected, UncertainOutcome
from psflow.systems.ports import Copy
from psflow.systems.tryton.mapping import record_id
from psflow.systems.tryton.masters import Masters
from psflow.systems.tryton.rpc import Rpc, day, duration

Found = dict[str, Any]


@dataclass(slots=True)
class Timesheets:
    """The timesheet lines of one company."""

    rpc: Rpc
    masters: Masters

    def post(self, effect: OpenEffect) -> int:
        """
        Let the ERP's line of an entry say what this version says; return its id.

        Raises Rejected when the ERP has no such employee or project.
        """
        given, line = effect.payload, self._line(effect)
        if line and line[1] >= given["version"]:
            return line[0]
        values = self._values(effect)
        if line:
            self.rpc.write(effect, "model.timesheet.line.write", [line[0]], values)
            return line[0]
        match self.rpc.write(effect, "model.timesheet.line.create", [values]):
            case [int(made)]:
                return made
            case other:
                raise UncertainOutcome(f"tryton: {effect.key} answered {other!r}, not one id")

    def find(self, effect: OpenEffect) -> int | None:
        """Return the entry's line when it says this version or a newer one. Raises NeedsReview for two lines."""
        line = self._line(effect)
        return line[0] if line and line[1] >= effect.payload["version"] else None

    def void(self, effect: OpenEffect) -> int:
        """Leave a line with no hours on it."""
        line = record_id(effect.payload, "erp_time_id")
        if self.find_void(effect) is None:
            self.rpc.write(effect, "model.timesheet.line.write", [line], {"duration": duration(0)})
        return line

    def find_void(self, effect: OpenEffect) -> int | None:
        """Return the line when it has no hours. Raises Rejected when the company has no such line."""
        line = record_id(effect.payload, "erp_time_id")
        found = self._rows("timesheet.line", [["id", "=", line], *self.masters.ours("timesheet.line")], "duration")
        if not found:
            raise Rejected(f"tryton: {effect.key}: the company has no timesheet line {line}", "company")
        return None if _hours(found[0]) else line

    def copies(self, payload: Found) -> list[Copy]:
        """Return every line of an entry; one without hours counts as closed."""
        found = self._lines(payload["time_entry_id"])
        return [Copy(str(row["id"]), "open" if _hours(row) else "closed") for row in found]

    def _line(self, effect: OpenEffect) -> tuple[int, int] | None:
        """Return id and version of the entry's line."""
        found = self._lines(effect.payload["time_entry_id"])
        if len(found) > 1:  # those that were voided stand behind
            found = [row for row in found if _hours(row)] or found[:1]
        if len(found) > 1:
            named = ", ".join(str(row["id"]) for row in found)
            raise NeedsReview(f"tryton: timesheet lines {named} all carry {effect.key}; keep one and empty the others")
        return (found[0]["id"], int(found[0]["description"].rpartition(".")[2])) if found else None

    def _lines(self, entry: str) -> list[Found]:
        like = ["description", "like", f"{_escaped(_marker(entry))}%"]
        return self._rows("timesheet.line", [like, *self.masters.ours("timesheet.line")], "description", "duration")

    def _values(self, effect: OpenEffect) -> Found:
        given = effect.payload
        return {
            "company": self.masters.company(),
            "employee": self._employee(given["resource_id"]),
            "work": self._work(effect),
            "date": day(dt.date.fromisoformat(given["worked_on"])),
            "duration": duration(given["minutes"]),
            "description": f"{_marker(given['time_entry_id'])}{given['version']}",
        }

    def _employee(self, code: str) -> int:
        found = self._rows("company.employee", [["party.code", "=", code], *self.masters.ours("company.employee")])
        if len(found) != 1:
            raise Rejected(
                f"tryton: {len(found)} employees have party code {code!r}, not one; add the person", "employee"
            )
        return int(found[0]["id"])

    def _work(self, effect: OpenEffect) -> int:
        """Return where hours of the project go, opened for them if it is not."""
        project = record_id(effect.payload, "erp_project_id")
        if not self._rows("project.work", [["id", "=", project], *self.masters.ours("project.work")]):
            raise Rejected(f"tryton: {effect.key}: the company has no project {project}", "company")
        origin = [["origin", "=", f"project.work,{project}"]]
        if not (found := self._rows("timesheet.work", origin)):
            self.rpc.write(effect, "model.project.work.write", [project], {"timesheet_available": True})
            found = self._rows("timesheet.work", origin)
        return int(found[0]["id"])

    def _rows(self, model: str, domain: list[Any], *fields: str) -> list[Found]:
        rows: list[Found] = self.rpc.read(
            f"model.{model}.search_read", domain, 0, None, [["id", "ASC"]], ["id", *fields]
        )
        return rows


def _marker(entry: str) -> str:
    return f"psx:{entry}."


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")


def _hours(line: Found) -> bool:
    return bool(line["duration"])
