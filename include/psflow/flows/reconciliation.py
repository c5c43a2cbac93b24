"""Prove the numbers: read the ERP's documents back and tie entries, charges, lines, documents, ledger to the cent."""

from __future__ import annotations

from typing import Any

from psflow.config import Config
from psflow.store import exceptions
from psflow.store.connection import Store, sql
from psflow.systems.ports import Erp, ErpInvoice

_CHUNK = 200


def read_erp(store: Store, erp: Erp, legal_entity_id: str | None = None) -> dict[str, int]:
    """
    Read every document that carries one of our references, as it is now; return how many there are.

    Only those of one legal entity when it is given: then `erp` needs to know no books but that entity's.
    """
    invoices = store.rows(
        "select invoice_key from billing.invoice "
        "where coalesce(%(entity)s, legal_entity_id) = legal_entity_id order by 1",
        entity=legal_entity_id,
    )
    keys = [row["invoice_key"] for row in invoices]
    read = 0
    for at in range(0, len(keys), _CHUNK):
        wanted = keys[at : at + _CHUNK]
        documents = erp.invoices(wanted)
        with store.transaction("reconciliation.erp"):
            _replace(store, wanted, documents)
        read += len(documents)
    return {"documents": read}


def _replace(store: Store, references: list[str], documents: list[ErpInvoice]) -> None:
    store.run("delete from core.erp_invoice where reference = any(%(keys)s)", keys=references)
    for document in documents:
        store.run(sql("warehouse.reconciliation", "erp_invoice"), **_head(document))
        of = {"invoice": document.erp_invoice_id}
        lines = [of | _fields(line) for line in document.lines]
        store.run_many(sql("warehouse.reconciliation", "erp_invoice_line"), lines)
        ledger = [of | _fields(line) for line in document.ledger]
        store.run_many(sql("warehouse.reconciliation", "erp_ledger_line"), ledger)


def _head(document: ErpInvoice) -> dict[str, Any]:
    return {k: v for k, v in _fields(document).items() if k not in ("lines", "ledger")}


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


def tie_out(store: Store, config: Config) -> dict[str, int]:
    """
    Rebuild `finance.invoice_tie_out`, touching only rows that changed; return comparisons and breaks.

    Each break is an exception for finance until it ties.
    """
    with store.transaction("reconciliation.tie_out"):
        _void_cancelled(store, config)
        # everything is compared: before there are statistics, a guess of one row would loop over all of it
        store.run("set local enable_nestloop = off")
        store.run(
            sql("warehouse.reconciliation", "tie_out"),
            entities=[entity.legal_entity_id for entity in config.legal_entities],
            starts=[entity.billing_starts_on for entity in config.legal_entities],
        )
        store.run(sql("warehouse.reconciliation", "disputes"))
        breaks = store.rows(
            "select * from finance.invoice_tie_out where status is distinct from 'tied' order by step, record_id"
        )
        exceptions.open_all(store, config, [_finding(row) for row in breaks])
        exceptions.resolve_others(store, "tie_out", "tie_out", [f"{r['step']} {r['record_id']}" for r in breaks])
        total: int = store.value("select count(*) from finance.invoice_tie_out")
    return {"comparisons": total, "breaks": len(breaks)}


def _void_cancelled(store: Store, config: Config) -> None:
    """Void invoices whose posted document was cancelled in the ERP; in a closed month it takes a person first."""
    for row in store.rows(sql("warehouse.reconciliation", "cancelled")):
        key, document = row["invoice_key"], row["erp_invoice_id"]
        said = f"document {document} was cancelled in the ERP after it was posted"
        if row["is_open"]:
            store.run(
                "insert into billing.void_invoice (invoice_key, erp_invoice_id) values (%(key)s, %(document)s)",
                key=key, document=document,
            )  # fmt: skip
            said += "; the next run bills its hours"
        else:
            said += ", and its month is closed: re-open the month, or post the document again"
        found = exceptions.Finding("billing", "invoice", key, "state", "cancelled", said, row["engagement_id"])
        exceptions.open_all(store, config, [found])


def _finding(row: dict[str, Any]) -> exceptions.Finding:
    said = "{left_source} {left_value} {unit}, {right_source} {right_value} {unit}".format(**row)
    return exceptions.Finding(
        "tie_out", "tie_out", f"{row['step']} {row['record_id']}", "difference", str(row["difference"]), said,
        row["engagement_id"],
        *((abs(row["difference"]), row["unit"]) if row["difference"] is not None and row["unit"] != "h" else ()),
    )  # fmt: skip
