"""
An ERP of a few shelves that speaks HTTP: the real one is too slow to be killed beside thousands of times.

Its server's side is `serve`, in the vendors' process; its client's side, `Books`, is the port and goes through
Transport like any other. It takes every profile, which no real ERP does.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from psflow.contracts import OpenEffect, VendorProfile
from psflow.errors import ConfigurationError
from psflow.sandbox.vendor_app import Call
from psflow.systems import Copy, ErpInvoice, ErpInvoiceLine, LedgerLine, Undo
from psflow.systems.ports import FxRate, Page
from psflow.systems.transport import Transport

SHELVES = {"create_customer": "parties", "create_project": "projects", "draft_invoice": "documents"}
_MOVES = {  # capability -> shelf, the payload's id, the state it ends in, the states it may come from
    "close_project": ("projects", "erp_project_id", "closed", ("open", "closed")),
    "post_invoice": ("documents", "erp_invoice_id", "posted", ("draft", "posted")),
    "cancel_invoice": ("documents", "erp_invoice_id", "cancelled", ("draft", "cancelled")),
}
_FIRST = {"parties": "open", "projects": "open", "documents": "draft"}
Shelves = dict[str, dict[str, dict[str, Any]]]


def empty() -> Shelves:
    """Return an ERP that holds nothing."""
    return {shelf: {} for shelf in _FIRST}


def serve(shelves: Shelves, call: Call, now: float, lag_s: float) -> tuple[int, Any]:
    """Answer one request: (status, JSON). A new record is found by its key only when it is older than the lag."""
    _, shelf, *rest = call.path.strip("/").split("/")
    kept = shelves[shelf]
    if call.method == "GET":
        wanted = set(json.loads(call.query["keys"]))
        found = {i: r for i, r in kept.items() if r[call.query["by"]] in wanted and r["made_at"] <= now - lag_s}
        return 200, {"records": found}
    given = call.json()
    if not rest:
        number = str(len(kept) + 1)
        kept[number] = given | {"state": _FIRST[shelf], "made_at": now}
        return 201, {"id": number}
    record, (number, wanted_state) = kept[rest[0]], rest
    if record["state"] not in given["from"]:
        return 422, {"error": f"{shelf} {number} is {record['state']}"}
    record["state"] = wanted_state
    return 200, {"id": number}


@dataclass(slots=True)
class Books:
    """The `Erp` port over those shelves."""

    transport: Transport
    profile: VendorProfile
    key: str = "tryton"
    instance: str = "books"

    def perform(self, effect: OpenEffect) -> str:
        """Send this effect by its capability and return the record's id."""
        if shelf := SHELVES.get(effect.capability):
            return self._sent(effect, shelf, {"key": effect.key, **effect.payload})
        if effect.capability not in _MOVES:
            raise ConfigurationError(f"the books have no capability {effect.capability!r}")
        shelf, field, state, came_from = _MOVES[effect.capability]
        return self._sent(effect, f"{shelf}/{effect.payload[field]}/{state}", {"key": effect.key, "from": came_from})

    def _sent(self, effect: OpenEffect, path: str, body: dict[str, Any]) -> str:
        return str(json.loads(self.transport.write(effect, "POST", f"/books/{path}", json=body).body)["id"])

    def find(self, effect: OpenEffect) -> str | None:
        """Return the id under which this effect landed; the oldest, when it did more than once."""
        if shelf := SHELVES.get(effect.capability):
            return next(iter(self._read(shelf, "key", [effect.key])), None)
        shelf, field, state, _ = _MOVES[effect.capability]
        by = "engagement_id" if shelf == "projects" else "invoice_key"
        wanted = effect.engagement_id if shelf == "projects" else effect.payload["invoice_key"]
        record = self._read(shelf, by, [str(wanted)]).get(str(effect.payload[field]))
        return str(effect.payload[field]) if record and record["state"] == state else None

    def _read(self, shelf: str, by: str, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        asked = {"by": by, "keys": json.dumps(list(keys))}
        reply = self.transport.read("GET", f"/books/{shelf}", params=asked)
        records: dict[str, dict[str, Any]] = json.loads(reply.body)["records"]
        return records

    def copies(self, capability: str, key: str, payload: dict[str, Any]) -> list[Copy]:
        """Return every record that the effect of this key made."""
        if (shelf := SHELVES.get(capability)) is None:
            return []
        standing: dict[str, Any] = {"open": "open", "draft": "open", "posted": "final"}
        return [Copy(i, standing.get(r["state"], "closed")) for i, r in self._read(shelf, "key", [key]).items()]

    def undo(self, capability: str, payload: dict[str, Any], external_id: str, ends_on: dt.date) -> Undo | None:
        """Return what closes a project or cancels a draft."""
        if capability == "create_project":
            return Undo("close_project", {"erp_project_id": external_id})
        if capability == "draft_invoice":
            return Undo("cancel_invoice", {"invoice_key": payload["invoice_key"], "erp_invoice_id": external_id})
        return None

    def url(self, kind: str, external_id: str) -> str:
        """Return where nobody can look."""
        return f"erp://{kind}/{external_id}"

    def invoices(self, references: Sequence[str]) -> list[ErpInvoice]:
        """Return the documents that carry one of our references."""
        return [document(i, d) for i, d in self._read("documents", "invoice_key", references).items()]

    def fx_rates(self, since: Any) -> Iterator[Page[FxRate]]:
        """Yield nothing: the firm has one currency."""
        return iter(())


def document(number: str, kept: dict[str, Any]) -> ErpInvoice:
    """Return a document as the port shows it."""
    amounts = [(line["line_key"], Decimal(line["amount"])) for line in kept["lines"] + kept["expenses"]]
    total = sum((amount for _, amount in amounts), Decimal())
    posted, move = kept["state"] == "posted", f"m{number}"
    tax = sum((Decimal(each["tax"]) for each in kept.get("taxes", ())), Decimal())
    ledger = (
        LedgerLine(f"{number}-r", move, "revenue", Decimal(), total, None),
        LedgerLine(f"{number}-a", move, "receivable", total + tax, Decimal(), None),
    )
    return ErpInvoice(
        number, kept["invoice_key"], f"INV-{number}" if posted else None, kept["state"], kept["currency"], total, tax,
        total + tax,
        move if posted else None,
        tuple(ErpInvoiceLine(f"{number}-{key}", key, Decimal(1), amount, amount) for key, amount in amounts),
        ledger if posted else (),
    )  # fmt: skip
