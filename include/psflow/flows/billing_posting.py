"""
An approved batch becomes posted invoices: release, draft, read back, post. Each step may run again at any time.

Released are invoices, charges and draft effects in one transaction that checks gate, approval and data once more.
"""

from __future__ import annotations

import time

import psycopg

from psflow.config import Config
from psflow.contracts import Invoice, Period
from psflow.errors import GateFailed, NeedsReview, Rejected
from psflow.flows.billing import alone, find
from psflow.flows.billing_difference import stage_difference
from psflow.flows.effects import drive
from psflow.flows.period_lock import keep_refusal
from psflow.flows.read_back import close_strays
from psflow.flows.read_back import read_back as look_again
from psflow.flows.shadow import leave_to_owners
from psflow.rules.billing import POSTED, is_cancelled, read_back_breaks
from psflow.store import crosswalk, effects, exceptions
from psflow.store.connection import Row, Store, sql
from psflow.store.effects import NewEffect
from psflow.systems.ports import Copy, Erp, ErpInvoice


def release(store: Store, config: Config, erp: Erp, batch_id: str) -> int:
    """
    Turn an approved batch into invoices, charges and the effects that draft them; return the number of invoices.

    Raises GateFailed, and nothing is posted, without a gate verdict and two people's approval of exactly this
    content, or when the data behind one line is no longer what was frozen (the batch is stale then).
    """
    if find(store, batch_id)["state"] not in ("released", "posted"):
        try:
            with store.transaction("billing.release"):
                _release(store, config, erp, batch_id)
        except (psycopg.errors.CheckViolation, psycopg.errors.UniqueViolation) as error:
            keep_refusal(store, error)
            raise GateFailed(f"batch {batch_id} is not posted: {error.diag.message_primary}") from None
        except _Stale:
            with store.transaction("billing.stale"):
                store.run(
                    "update billing.batch set state = 'stale' where batch_id = %(batch)s and state = 'approved'",
                    batch=batch_id,
                )
            raise
    return len(_invoices(store, batch_id))


class _Stale(GateFailed):
    """What was frozen is not what would be frozen now."""


def _release(store: Store, config: Config, erp: Erp, batch_id: str) -> None:
    alone(store, find(store, batch_id)["legal_entity_id"])
    batch = find(store, batch_id)
    if batch["state"] in ("released", "posted"):  # by another run, a moment ago
        return
    if batch["state"] != "approved":
        raise GateFailed(f"batch {batch_id} is {batch['state']}, not approved; nothing is posted")
    _refuse_moved(store, config, batch)
    store.run(sql("warehouse.billing", "invoices"), batch=batch_id)
    store.run(sql("warehouse.billing", "invoice_lines"), batch=batch_id)
    store.run(sql("warehouse.billing", "invoice_taxes"), batch=batch_id)
    store.run(sql("warehouse.billing", "charges"), batch=batch_id)
    effects.register(
        store,
        [
            NewEffect(
                erp.key, "draft_invoice", row["invoice_key"], _document(store, erp, row), row["engagement_id"], batch_id
            )
            for row in _invoices(store, batch_id)
        ],
    )
    store.run("update billing.batch set state = 'released' where batch_id = %(batch)s", batch=batch_id)


def _refuse_moved(store: Store, config: Config, batch: Row) -> None:
    # looking up the price that each hour was frozen at takes long, and seldom says another
    moved = _moved(store, config, batch, keeps_prices=False) and _moved(store, config, batch, keeps_prices=True)
    if moved:
        some = ", ".join(moved[:5])
        raise _Stale(
            f"batch {batch['batch_id']} is stale: {len(moved)} lines changed since ({some}); run billing again"
        )


def _moved(store: Store, config: Config, batch: Row, *, keeps_prices: bool) -> list[str]:
    """Return the lines that would come out otherwise now; with any, nothing stays staged."""
    entity, until = config.legal_entity(batch["legal_entity_id"]), Period(name=batch["period"]).end
    moved = list[str]()
    with store.savepoint():
        stage_difference(store, entity, until, keeps_prices=keeps_prices, skips_settled=not config.number_owner)
        leave_to_owners(store, config, entity.legal_entity_id, until)
        moved = [row["charge_id"] for row in store.rows(sql("warehouse.billing", "moved"), batch=batch["batch_id"])]
        if moved:
            raise psycopg.Rollback
    return moved


def _document(store: Store, erp: Erp, row: Row) -> dict[str, object]:
    party = crosswalk.external(store, "customer", row["customer_id"], erp)
    if party is None:
        raise NeedsReview(
            f"invoice {row['invoice_key']}: customer {row['customer_id']} is not in {erp.key}; activate the deal"
        )
    lines = store.rows(sql("warehouse.billing", "document_lines"), invoice=row["invoice_key"])
    spent = store.rows(sql("warehouse.billing", "document_expenses"), invoice=row["invoice_key"])
    taxes = store.rows(sql("warehouse.billing", "document_taxes"), invoice=row["invoice_key"])
    fields = ("invoice_key", "project_code", "legal_entity_id", "currency", "invoiced_on")
    invoice = Invoice(
        customer_ref=party, lines=tuple(lines), expenses=tuple(spent), taxes=tuple(taxes),
        buyer_vat_id=row["buyer_vat_id"], **{f: row[f] for f in fields},
    )  # fmt: skip
    return invoice.model_dump(mode="json")


def draft(store: Store, config: Config, erp: Erp, batch_id: str) -> dict[str, int]:
    """Draft the batch's invoices in the ERP; return how many are there and how many were refused."""
    keys = _keys(store, erp, "draft_invoice", batch_id)
    drive(store, config, erp, keys)
    look_again(store, config, erp, keys)
    states = effects.states(store, keys)
    drafted = sum(row["state"] == "done" for row in states.values())
    return {"drafted": drafted, "refused": len(states) - drafted}


def read_back(store: Store, config: Config, erp: Erp, batch_id: str) -> dict[str, int]:
    """
    Compare each draft with what was decided, to the cent, and register the posting of those that agree.

    A stray draft under our reference is cancelled. A document that differs becomes an exception and is not posted. A
    draft that was cancelled in the ERP voids its invoice.
    """
    time.sleep(erp.profile.search_lag_s)  # a document that landed a moment ago must be visible
    counts = {"agree": 0, "differ": 0, "strays": 0, "void": 0}
    for row, documents in _drafts(store, erp, batch_id):
        counts["strays"] += close_strays(store, config, erp, row, _cancellable(documents))
        if _void(store, config, erp, row, documents):
            counts["void"] += 1
        else:
            counts["agree" if _agree(store, config, erp, row, documents) else "differ"] += 1
    return counts


def _drafts(store: Store, erp: Erp, batch_id: str) -> list[tuple[Row, list[ErpInvoice]]]:
    """Return the draft effect of each invoice that counts, with the documents that carry its reference now."""
    counting = {row["invoice_key"] for row in _invoices(store, batch_id)}
    drafted = {row["payload"]["invoice_key"]: row for row in _effects(store, erp, "draft_invoice", batch_id, "done")}
    ours = {key: row for key, row in drafted.items() if key in counting}
    found = erp.invoices(sorted(ours))
    return [(row, [d for d in found if d.reference == key]) for key, row in ours.items()]


def _cancellable(documents: list[ErpInvoice]) -> list[Copy]:
    """Return what can still be cancelled; a posted one is told by the comparison, in finance's own words."""
    return [Copy(d.erp_invoice_id, "open") for d in documents if d.state != "cancelled" and d.state not in POSTED]


def _agree(store: Store, config: Config, erp: Erp, row: Row, documents: list[ErpInvoice]) -> bool:
    invoice = Invoice.model_validate(row["payload"])
    breaks = read_back_breaks(invoice, row["external_id"], documents)
    with store.transaction("billing.read_back"):
        if breaks:
            found = [
                exceptions.Finding("billing", "invoice", invoice.invoice_key, b.field, b.value, b.message)
                for b in breaks
            ]
            exceptions.open_all(store, config, found)
        else:
            exceptions.resolve(store, "billing", "invoice", [invoice.invoice_key])
            crosswalk.link(store, "invoice", invoice.invoice_key, erp, row["external_id"])
            post = {"invoice_key": invoice.invoice_key, "erp_invoice_id": row["external_id"]}
            new = NewEffect(erp.key, "post_invoice", invoice.invoice_key, post, row["engagement_id"], row["batch_id"])
            effects.register(store, [new])
    return not breaks


def _void(store: Store, config: Config, erp: Erp, row: Row, documents: list[ErpInvoice]) -> bool:
    """Void an invoice whose draft was cancelled in the ERP: its hours are billed anew. False when it stands."""
    if not is_cancelled(row["external_id"], documents):
        return False
    key, document = row["payload"]["invoice_key"], row["external_id"]
    posting = f"{erp.key}:post_invoice:{key}"
    with store.transaction("billing.void"):
        store.run(sql("warehouse.billing", "drop_posting"), key=posting)
        voided = store.run(sql("warehouse.billing", "void"), invoice=key, document=document, posting=posting)
        if voided:
            exceptions.resolve(store, "effect", "effect", [posting])
            exceptions.resolve(store, "billing", "invoice", [key])
            said = f"document {document} was cancelled in {erp.key} before it was posted; the next run bills its hours"
            found = exceptions.Finding("billing", "invoice", key, "state", "cancelled", said, row["engagement_id"])
            exceptions.open_all(store, config, [found])
    return bool(voided)


def post(store: Store, config: Config, erp: Erp, batch_id: str) -> dict[str, int]:
    """
    Post what was read back and end the batch; return how many are posted.

    Raises Rejected when an invoice that counts is not posted, or when none counts: the batch has failed then.
    """
    states = drive(store, config, erp, _agreeing(store, config, erp, batch_id))
    posted, wanted = sum(row["state"] == "done" for row in states.values()), len(_invoices(store, batch_id))
    if posted < wanted:
        raise Rejected(f"batch {batch_id}: {posted} of {wanted} invoices are posted; the exceptions name the others")
    with store.transaction("billing.posted"):
        store.run(
            "update billing.batch set state = %(to)s where batch_id = %(batch)s and state = 'released'",
            batch=batch_id,
            to="posted" if wanted else "failed",
        )
    if not wanted:
        raise Rejected(f"batch {batch_id}: all its drafts were cancelled in the ERP; run billing again for its hours")
    return {"posted": posted}


def _agreeing(store: Store, config: Config, erp: Erp, batch_id: str) -> list[str]:
    """Return the keys of postings whose document still says what was decided: somebody may have edited the draft."""
    keys = {row["payload"]["invoice_key"]: row["effect_key"] for row in _effects(store, erp, "post_invoice", batch_id)}
    standing = [
        (row, documents)
        for row, documents in _drafts(store, erp, batch_id)
        if not _void(store, config, erp, row, documents)
    ]
    return [
        keys[row["payload"]["invoice_key"]]
        for row, documents in standing
        if row["payload"]["invoice_key"] in keys and _agree(store, config, erp, row, documents)
    ]


def _invoices(store: Store, batch_id: str) -> list[Row]:
    return store.rows(
        "select invoice.*, coalesce(payer_id, project.customer_id) as customer_id, project.engagement_id, "
        "(select max(buyer_vat_id) from billing.invoice_tax where invoice_key = invoice.invoice_key) as buyer_vat_id "
        "from billing.live_invoice invoice "
        "join core.project using (project_code) where batch_id = %(batch)s order by invoice_key",
        batch=batch_id,
    )


def _effects(store: Store, erp: Erp, capability: str, batch_id: str, state: str | None = None) -> list[Row]:
    return store.rows(
        "select * from ops.effect where system = %(system)s and capability = %(capability)s and batch_id = %(batch)s "
        "and state = coalesce(%(state)s, state) order by effect_key",
        system=erp.key,
        capability=capability,
        batch=batch_id,
        state=state,
    )


def _keys(store: Store, erp: Erp, capability: str, batch_id: str) -> list[str]:
    return [row["effect_key"] for row in _effects(store, erp, capability, batch_id)]
