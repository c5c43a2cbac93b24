"""
Tryton as our ERP: parties, project shells, customer invoices and the ledger behind them.

Nothing but a party's code is unique in Tryton, so a lost write is found by what it carries (reference, comment) and
a document that exists twice goes to a person. Posting is idempotent by state: it is read before and after.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from psflow.contracts import OpenEffect, VendorProfile
from psflow.errors import ConfigurationError, NeedsReview, Rejected, UncertainOutcome
from psflow.systems.ports import Bill, Copy, ErpInvoice, FxRate, Page, Undo
from psflow.systems.transport import Transport
from psflow.systems.tryton import mapping, mapping_bills
from psflow.systems.tryton.masters import Masters
from psflow.systems.tryton.rpc import Rpc, Warned, instant
from psflow.systems.tryton.timesheets import Timesheets

_CHUNK = 100  # documents of one search
_WARNINGS = 4  # more kinds than a posting can ask about

Found = dict[str, Any]
Domain = list[Any]


@dataclass(slots=True)
class Tryton:
    """
    The `Erp` port for one company. The login needs the groups Accounting and Project Administration, no more.

    `accepted_warnings` are confirmations of what finance approved with the batch: an invoice date to come, a payment
    term already past, taxes that are not the product's own. Any other is a refusal with Tryton's own text.
    """

    transport: Transport
    profile: VendorProfile
    login: str
    password: str = field(repr=False)
    database: str
    company: str
    payment_term: str = "Net 30"
    hours_product: str = "Consulting hours"
    fee_product: str = "Consulting fee"
    accepted_warnings: tuple[str, ...] = ("invoice_date_future", "invoice_payment_term", "invoice_taxes")
    instance: str = ""
    key: str = "tryton"
    _rpc: Rpc = field(init=False, repr=False)
    _masters: Masters = field(init=False, repr=False)
    _timesheets: Timesheets = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._rpc = Rpc(self.transport, self.database, self.login, self.password)
        names = (self.company, self.payment_term, self.hours_product, self.fee_product)
        self._masters = Masters(self._rpc, *names)
        self._timesheets = Timesheets(self._rpc, self._masters)
        self.instance = self.instance or f"{urlsplit(self.transport.base_url).hostname}/{self.database}"

    # -- reads

    def invoices(self, references: Sequence[str]) -> list[ErpInvoice]:
        """Return the customer documents that carry one of our references, in any state, with lines and ledger."""
        found: list[ErpInvoice] = []
        wanted = sorted(set(references))
        for start in range(0, len(wanted), _CHUNK):
            documents = self._documents(["reference", "in", wanted[start : start + _CHUNK]])
            found += self._with_lines(documents)
        return found

    def newest_write(self) -> dict[str, tuple[int, dt.datetime | None]]:
        """Return model -> (number of records, newest create or write) of all that this adapter can cause."""
        models = [
            *mapping.MODELS.values(),
            "account.invoice.line",
            "account.move",
            "account.move.line",
            "timesheet.line",
        ]
        return {model: self._newest(model) for model in models}

    def fx_rates(self, since: dt.date | None) -> Iterator[Page[FxRate]]:
        """
        Yield a page a currency: what one of it is worth in the company's, from each day on which either changed.

        Tryton keeps one list of rates for all companies. Raises ConfigurationError when it holds none for this one's.
        """
        home = self._masters.home_currency()
        rates: dict[str, list[Found]] = {}
        for row in self._search("currency.currency.rate", [], mapping.RATE_FIELDS):
            rates.setdefault(row["currency."]["code"], []).append(row)
        if home not in rates:
            raise ConfigurationError(f"{self.key}: {home} of {self.company!r} has no rate; add one under Currencies")
        for code in sorted(rates.keys() - {home}):
            yield mapping.fx_page(code, home, rates[code], rates[home], since)

    def bills(self, since: dt.datetime | None) -> Iterator[Page[Bill]]:
        """Yield pages of the company's customer documents made or changed after `since`; our own are among them."""
        newer = [["OR", *([stamp, ">", instant(since)] for stamp in ("create_date", "write_date"))]] if since else []
        hours, last = self._masters.books().hours.product, 0
        while True:
            domain = [["type", "=", "out"], *self._masters.ours("account.invoice"), ["id", ">", last], *newer]
            found = self._search("account.invoice", domain, mapping_bills.FIELDS, _CHUNK)
            if not found:
                return
            theirs = [["invoice", "in", [row["id"] for row in found]], ["type", "=", "line"]]
            lines = _grouped(self._search("account.invoice.line", theirs, mapping_bills.LINE_FIELDS), "invoice")
            yield Page([mapping_bills.bill(row, lines[row["id"]], hours) for row in found], [])
            last = found[-1]["id"]

    def url(self, kind: str, external_id: str) -> str:
        """
        Return the record as CSV, which a browser opens after it asked for a Tryton login (any user who may read it).

        Tryton's pages are a desktop client or a separate web client, and neither is part of the server.
        """
        if kind not in mapping.MODELS:
            raise ConfigurationError(f"{self.key} has no {kind!r}; it has {', '.join(mapping.MODELS)}")
        model = mapping.MODELS[kind]
        asked = [("d", json.dumps([["id", "=", int(external_id)]])), *(("f", name) for name in mapping.PAGE[kind])]
        where = f"{self.transport.base_url.rstrip('/')}/{quote(self.database, safe='')}/r/base/data"
        return f"{where}/{model}?{urlencode(asked)}"

    def _documents(self, clause: Domain) -> list[Found]:
        domain = [["type", "=", "out"], *self._masters.ours("account.invoice"), clause]
        return self._search("account.invoice", domain, mapping.INVOICE_FIELDS)

    def _with_lines(self, documents: list[Found]) -> Iterator[ErpInvoice]:
        if not documents:
            return
        ids, moves = [d["id"] for d in documents], [d["move"] for d in documents if d["move"]]
        lines = [["invoice", "in", ids], ["type", "=", "line"]]
        by_invoice = _grouped(self._search("account.invoice.line", lines, mapping.LINE_FIELDS), "invoice")
        by_move = _grouped(self._search("account.move.line", [["move", "in", moves]], mapping.LEDGER_FIELDS), "move")
        for document in documents:
            yield mapping.erp_invoice(document, by_invoice[document["id"]], by_move[document["move"]])

    def _newest(self, model: str) -> tuple[int, dt.datetime | None]:
        ours = self._masters.ours(model)
        count = self._rpc.read(f"model.{model}.search_count", ours)
        stamps: list[dt.datetime] = []
        for stamp in ("create_date", "write_date"):
            order = [[stamp, "DESC NULLS LAST"]]
            newest = self._rpc.read(f"model.{model}.search_read", ours, 0, 1, order, [stamp])
            stamps += [row[stamp] for row in newest if row[stamp]]
        return int(count), max(stamps, default=None)

    # -- writes

    def perform(self, effect: OpenEffect) -> str:
        """
        Send this effect by its capability and return Tryton's id.

        create_customer, create_project, close_project, post_time, void_time, draft_invoice, post_invoice,
        cancel_invoice.
        """
        return str(self._capability(effect)[0](effect))

    def find(self, effect: OpenEffect) -> str | None:
        """
        Return the id under which this effect landed: by the key it carries, or because the state is as asked.

        Raises NeedsReview when more than one record carries the key.
        """
        try:
            found = self._capability(effect)[1](effect)
        except Rejected as refused:  # a look-up that will never tell
            raise NeedsReview(str(refused)) from None
        return None if found is None else str(found)

    def copies(self, capability: str, key: str, payload: Found) -> list[Copy]:
        """Return the projects or documents that carry an effect's reference; a party's code is unique."""
        if capability == "create_project":
            done = self._masters.status("work_done_status")
            found = self._search("project.work", self._of(key), ["status"])
            return [Copy(str(row["id"]), "closed" if row["status"] == done else "open") for row in found]
        if capability == "draft_invoice":
            documents = self._documents(["reference", "=", payload["invoice_key"]])
            return [Copy(str(row["id"]), mapping.standing(row["state"])) for row in documents]
        return self._timesheets.copies(payload) if capability == "post_time" else []

    def undo(self, capability: str, payload: Found, external_id: str, ends_on: dt.date) -> Undo | None:
        """Close a project, cancel a document, take the hours off a line; a customer stays."""
        if capability == "create_project":
            return Undo("close_project", {"erp_project_id": external_id})
        if capability == "draft_invoice":
            return Undo("cancel_invoice", {"invoice_key": payload["invoice_key"], "erp_invoice_id": external_id})
        return Undo("void_time", {"erp_time_id": external_id}) if capability == "post_time" else None

    def _capability(self, effect: OpenEffect) -> tuple[Callable[[OpenEffect], int], Callable[[OpenEffect], int | None]]:
        both = {
            "create_customer": (self._create_customer, self._find_customer),
            "create_project": (self._create_project, self._find_project),
            "close_project": (self._close_project, self._find_closed),
            "post_time": (self._timesheets.post, self._timesheets.find),
            "void_time": (self._timesheets.void, self._timesheets.find_void),
            "draft_invoice": (self._draft_invoice, self._find_draft),
            "post_invoice": (self._post_invoice, self._find_posted),
            "cancel_invoice": (self._cancel_invoice, self._find_cancelled),
        }
        if effect.capability not in both:
            raise ConfigurationError(f"{self.key} has no capability {effect.capability!r}; it has {', '.join(both)}")
        return both[effect.capability]

    def _create_customer(self, effect: OpenEffect) -> int:
        country = self._masters.country(effect.payload.get("country"))
        values = mapping.party(effect.payload, country, self._masters.books().payment_term)
        try:
            return self._created(effect, "party.party", values)
        except Rejected as refused:
            if self._party(effect.payload["customer_id"]) is None:
                raise
            found = self._find_customer(effect)  # the code is unique: it is there already
            if found is None:
                raise Rejected(f"{refused}; the party with this code is another one", refused.code) from None
            return found

    def _find_customer(self, effect: OpenEffect) -> int | None:
        found = self._party(effect.payload["customer_id"])
        return found["id"] if found and mapping.is_party(effect.payload, found) else None

    def _party(self, code: str) -> Found | None:
        either = [["code", "=", code], ["active", "in", [True, False]]]
        return next(iter(self._search("party.party", either, mapping.PARTY_FIELDS)), None)

    def _create_project(self, effect: OpenEffect) -> int:
        company, status = self._masters.company(), self._masters.status("work_open_status")
        return self._created(effect, "project.work", mapping.project(effect.payload, effect.key, company, status))

    def _find_project(self, effect: OpenEffect) -> int | None:
        found = self._search("project.work", self._of(effect.key), [])
        return self._only([row["id"] for row in found], "projects", effect)

    def _of(self, key: str) -> Domain:
        return [["comment", "=", key], *self._masters.ours("project.work")]

    def _close_project(self, effect: OpenEffect) -> int:
        project = mapping.record_id(effect.payload, "erp_project_id")
        if not self._search("project.work", [["id", "=", project], *self._masters.ours("project.work")], []):
            raise Rejected(f"{self.key}: {effect.key}: {self.company!r} has no project {project}", "company")
        if self._find_closed(effect) is None:
            values = {"status": self._masters.status("work_done_status"), "progress": 1}
            self._rpc.write(effect, "model.project.work.write", [project], values)
        return project

    def _find_closed(self, effect: OpenEffect) -> int | None:
        project = mapping.record_id(effect.payload, "erp_project_id")
        found = self._search("project.work", [["id", "=", project], *self._masters.ours("project.work")], ["status"])
        return project if any(row["status"] == self._masters.status("work_done_status") for row in found) else None

    def _draft_invoice(self, effect: OpenEffect) -> int:
        buyer, currency = self._masters.buyer(effect.payload), self._masters.currency(effect.payload["currency"])
        return self._created(
            effect, "account.invoice", mapping.invoice(effect.payload, buyer, self._masters.books(), currency)
        )

    def _find_draft(self, effect: OpenEffect) -> int | None:
        """One that was cancelled still landed; but it stands behind one that is alive."""
        found = self._documents(["reference", "=", effect.payload["invoice_key"]])
        alive = [row["id"] for row in found if row["state"] != "cancelled"]
        return self._only(alive or [row["id"] for row in found[-1:]], "documents", effect)

    def _post_invoice(self, effect: OpenEffect) -> int:
        invoice, state = self._document(effect)  # also makes the session fresh, without which Tryton posts nothing
        if state in mapping.POSTED:
            return invoice
        if state == "cancelled":
            raise Rejected(f"{self.key}: {effect.key}: document {invoice} is cancelled; draft it again", state)
        try:
            self._confirmed(effect, "model.account.invoice.post", invoice)
        except Rejected:
            if self._find_posted(effect) is None:  # somebody may have posted it between the two
                raise
        return invoice

    def _confirmed(self, effect: OpenEffect, button: str, record: int) -> None:
        """Press a button; say yes to the warnings that are accepted, for this once."""
        for _ in range(_WARNINGS):
            try:
                self._rpc.write(effect, button, [record])
                return
            except Warned as warned:
                if warned.code not in self.accepted_warnings:
                    raise
                self._rpc.write(effect, "model.res.user.warning.skip", warned.name, False)
        raise Rejected(f"{self.key}: {effect.key}: Tryton keeps asking the same", "UserWarning")

    def _find_posted(self, effect: OpenEffect) -> int | None:
        invoice, state = self._document(effect)
        return invoice if state in mapping.POSTED else None

    def _cancel_invoice(self, effect: OpenEffect) -> int:
        invoice, state = self._document(effect)
        if state in mapping.POSTED:
            raise Rejected(f"{self.key}: {effect.key}: document {invoice} is {state}; it takes a credit memo", state)
        if state != "cancelled":  # posted in between: Tryton itself refuses to cancel what has a ledger move
            self._rpc.write(effect, "model.account.invoice.cancel", [invoice])
        return invoice

    def _find_cancelled(self, effect: OpenEffect) -> int | None:
        invoice, state = self._document(effect)
        return invoice if state == "cancelled" else None

    def _document(self, effect: OpenEffect) -> tuple[int, str]:
        """Return id and state. Raises Rejected when the document does not carry the reference it is meant by."""
        invoice, reference = mapping.record_id(effect.payload, "erp_invoice_id"), effect.payload["invoice_key"]
        for found in self._documents(["id", "=", invoice]):
            if found["reference"] == reference:
                return invoice, found["state"]
        raise Rejected(f"{self.key}: {effect.key}: document {invoice} does not carry our {reference}", "reference")

    def _created(self, effect: OpenEffect, model: str, values: Found) -> int:
        match self._rpc.write(effect, f"model.{model}.create", [values]):
            case [int(made)]:
                return made
            case other:
                raise UncertainOutcome(f"{self.key}: {effect.key} answered {other!r}, not one id")

    def _only(self, ids: list[int], what: str, effect: OpenEffect) -> int | None:
        if len(ids) > 1:
            named = ", ".join(map(str, sorted(ids)))
            raise NeedsReview(f"{self.key}: {what} {named} all carry {effect.key}; keep one and cancel the others")
        return ids[0] if ids else None

    # -- one search

    def _search(self, model: str, domain: Domain, fields: list[str], most: int | None = None) -> list[Found]:
        rows: list[Found] = self._rpc.read(
            f"model.{model}.search_read", domain, 0, most, [["id", "ASC"]], ["id", *fields]
        )
        return rows


def _grouped(rows: list[Found], name: str) -> Mapping[int, list[Found]]:
    groups = defaultdict[int, list[Found]](list)
    for row in rows:
        groups[row[name]].append(row)
    return groups
