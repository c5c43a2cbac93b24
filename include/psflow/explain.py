"""
From a printed amount back to what it hangs on: an invoice, one of its lines, a charge, or an entry, billed or not.

An answer is a tree: a sentence, the reasons, the facts, and the same of each part. Nothing in it is worked out anew; it
says what is written on charges, plans and decisions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from rapidfuzz import fuzz, process

from psflow import explain_charge, explain_entry, explain_transfer
from psflow import explain_words as words
from psflow.config import Config
from psflow.contracts import LegalEntity
from psflow.errors import NeedsReview
from psflow.store.connection import Row, Store, sql
from psflow.store.sight import EVERYTHING, Sight

KNOWN = "an invoice or its number in the ERP, an invoice line, a charge, a time entry or an expense"


class Found(NamedTuple):
    """Something that an id names: invoice, line, charge or entry, and its key."""

    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class Record:
    """A record at its vendor: what the pages make a link of."""

    system: str
    kind: str
    external_id: str


@dataclass(frozen=True, slots=True)
class Explained:
    """
    One amount in words; `says` is whole without the rest. `amount` is None where nobody can say it.

    `cost` is what its hours cost us: for finance alone, since it tells what one person costs.
    """

    kind: str
    key: str
    says: str
    amount: Decimal | None = None
    currency: str | None = None
    because: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    cost: str = ""
    parts: list[Explained] = field(default_factory=list)


def find(store: Store, identifier: str, sight: Sight = EVERYTHING) -> list[Found]:
    """Return what an id names. Raises NeedsReview, with ids that are near, when it names nothing somebody may see."""
    asked = identifier.strip()
    rows = sight.rows(store, sql("warehouse.explain", "find"), id=asked)
    if not rows:
        near = [
            row["id"] for row in sight.rows(store, sql("warehouse.explain", "near"), id=asked, begins=asked[:2] or "-")
        ]
        likely = [str(id) for id, *_ in process.extract(asked, near, scorer=fuzz.ratio, limit=5, score_cutoff=45)]
        did_you_mean = f"; near it are {', '.join(likely)}" if likely else ""
        raise NeedsReview(f"nothing billed or to be billed is called {asked!r}: ask for {KNOWN}{did_you_mean}")
    return [Found(row["kind"], row["key"]) for row in rows]


def explain(store: Store, config: Config, found: Found) -> Explained:
    """Return what `find` named, explained."""
    make = {"invoice": _invoice, "line": _line, "charge": _charge, "entry": _entry}[found.kind]
    return make(store, config, found.key)


def _invoice(store: Store, config: Config, key: str) -> Explained:
    (head,) = store.rows(sql("warehouse.explain", "invoice"), keys=[key])
    parts = _lines(store, config, head, None)
    records = [Record(head["system"], "invoice", head["external_id"])] if head["external_id"] else []
    return Explained(
        "invoice", key, words.invoice(head, len(parts)), head["amount"], head["currency"], words.why_invoice(head),
        words.invoice_facts(head) | _decided(store, config, head["batch_id"]), records, parts=parts,
    )  # fmt: skip


def _line(store: Store, config: Config, key: str) -> Explained:
    invoice = store.value("select invoice_key from billing.invoice_line where line_key = %(line)s", line=key)
    (head,) = store.rows(sql("warehouse.explain", "invoice"), keys=[invoice])
    (line,) = _lines(store, config, head, key)
    return line


def _lines(store: Store, config: Config, head: Row, line: str | None) -> list[Explained]:
    rows = store.rows(sql("warehouse.explain", "lines"), invoices=[head["invoice_key"]], line=line)
    charges = defaultdict[str, list[Explained]](list)
    asked = store.rows(
        sql("warehouse.explain", "charges"), lines=[row["line_key"] for row in rows], entry=None, charge=None
    )
    for row, told in zip(asked, _told(store, config, asked), strict=True):
        charges[row["line_key"]].append(told)
    return [
        Explained(
            "line", row["line_key"], words.line(row, len(charges[row["line_key"]])), row["amount"], row["currency"],
            words.why_line(row), {"Invoice": row["invoice_key"], "Customer": head["customer"]},
            parts=charges[row["line_key"]],
        )
        for row in rows
    ]  # fmt: skip


def _charge(store: Store, config: Config, key: str) -> Explained:
    rows = store.rows(sql("warehouse.explain", "charges"), lines=None, entry=None, charge=key)
    (told,) = _told(store, config, rows)
    told.facts.update(_decided(store, config, rows[0]["batch_id"]))
    of_entry = store.rows(sql("warehouse.explain", "charges"), lines=None, entry=rows[0]["entry_key"], charge=None)
    told.facts["History of the entry"] = words.history(of_entry)
    return told


def _entry(store: Store, config: Config, key: str) -> Explained:
    rows = store.rows(sql("warehouse.explain", "charges"), lines=None, entry=key, charge=None)
    parts = _told(store, config, rows)
    entry = store.row(sql("warehouse.explain", "entry"), entry=key)
    live = [row for row in rows if row["kind"] == "charge" and not row["reversed_by"] and not row["is_void"]]
    state, why = explain_entry.state(entry, rows, live)
    return Explained(
        "entry",
        key,
        f"{explain_entry.entry(entry, rows, key)}: {state}",
        sum((row["amount"] for row in live), Decimal()) if live else None,
        live[0]["currency"] if live else None,
        why + explain_transfer.transfers(store, key),
        explain_entry.entry_facts(entry) if entry else {},
        parts=parts,
    )


def _told(store: Store, config: Config, rows: list[Row]) -> list[Explained]:
    """Return charges explained, in their order."""
    ids = [row["charge_id"] for row in rows]
    caps = defaultdict[str, list[Row]](list)
    for cap in store.rows(sql("warehouse.explain", "caps"), charges=ids):
        caps[cap["charge_id"]].append(cap)
    changed = {row["charge_id"]: row for row in store.rows(sql("warehouse.explain", "changed"), charges=ids)}
    return [_of_charge(config, row, caps[row["charge_id"]], changed.get(row["charge_id"])) for row in rows]


def _of_charge(config: Config, row: Row, caps: list[Row], changed: Row | None) -> Explained:
    entity = _entity(config, row["legal_entity_id"])
    names = {person.person: person.airflow_user for person in config.people}
    records = [Record(row["system"], "project", row["project_ref"])] if row["project_ref"] else []
    return Explained(
        "charge", row["charge_id"], explain_charge.charge(row), row["amount"], row["currency"],
        explain_charge.why_charge(row, entity, caps, changed, names), explain_charge.charge_facts(row), records,
        explain_charge.cost(row),
    )  # fmt: skip


def _entity(config: Config, legal_entity_id: str | None) -> LegalEntity | None:
    return next((e for e in config.legal_entities if e.legal_entity_id == legal_entity_id), None)


def _decided(store: Store, config: Config, batch_id: str) -> dict[str, str]:
    """Return who submitted and approved a batch, by step."""
    names = {person.person: person.airflow_user for person in config.people}
    rows: Iterable[Row] = store.rows(sql("warehouse.explain", "decisions"), batches=[batch_id])
    return dict(words.decision(row, names) for row in rows)
