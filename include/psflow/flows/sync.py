"""
Bring what changed in CRM and PSA into raw and core, page by page, and open an engagement for each won deal.

A page and its watermark are one transaction. A record that cannot be read becomes an exception; the rest goes on.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import psycopg

from psflow.config import Config
from psflow.contracts import Customer, Opportunity, RateCard, Resource
from psflow.errors import NeedsReview
from psflow.flows.activation import due
from psflow.store import crosswalk, exceptions
from psflow.store.connection import Store, sql
from psflow.systems.ports import BadRow, Crm, Page, Psa, System

T = TypeVar("T")
Counts = dict[str, Any]


def pull_crm(store: Store, config: Config, crm: Crm) -> Counts:
    """Read customers and opportunities; return counts and the activation runs to start or to start again."""
    customers = _pull(store, config, crm, "customer", crm.customers(_since(store, crm, "customer")), _customer)
    deals = crm.opportunities(_since(store, crm, "opportunity"))
    opportunities = _pull(store, config, crm, "opportunity", deals, _opportunity)
    with store.transaction("sync.engagements"):
        opened = store.run(sql("warehouse.sync", "open_engagements"), system=crm.key, instance=crm.instance)
    return {"customers": customers, "opportunities": opportunities, "engagements": opened, **due(store, config)}


def pull_psa(store: Store, config: Config, psa: Psa) -> Counts:
    """Read people and rate cards whole; return counts."""
    resources = _pull(store, config, psa, "resource", psa.resources(), _resource)
    try:
        cards = _pull(store, config, psa, "rate_card", psa.rate_cards(), _rate_card)
    except NeedsReview as error:  # prices that cannot be read are worse than yesterday's: none of them is taken
        with store.transaction("sync.exceptions"):
            _report(store, config, psa, "rate_card", [BadRow("*", str(error), "")])
        raise
    with store.transaction("sync.exceptions"):
        exceptions.resolve(store, "record", "rate_card", ["*"])
    return {"resources": resources, "rate_cards": cards}


def _since(store: Store, system: System, stream: str) -> dt.datetime | None:
    return crosswalk.read_since(store, system, stream)


def _pull(
    store: Store,
    config: Config,
    system: System,
    kind: str,
    pages: Iterator[Page[T]],
    save: Callable[[Store, System, str, T], None],
) -> int:
    read = 0
    for page in pages:
        with store.transaction(f"sync.{kind}"):
            keep_raw(store, system, kind, [(r.record_id, r.payload) for r in page.rows])
            keep_raw(store, system, kind, [(b.record_id, b.payload) for b in page.bad])
            bad = [*page.bad]
            for row in page.rows:
                try:
                    with store.savepoint():
                        save(store, system, row.record_id, row.record)
                except (NeedsReview, psycopg.IntegrityError) as error:
                    bad.append(BadRow(row.record_id, str(error).split("\n")[0], row.payload))
            _report(store, config, system, kind, bad)
            wrong = {b.record_id for b in bad}
            exceptions.resolve(store, "record", kind, [r.record_id for r in page.rows if r.record_id not in wrong])
            stamps = [row.modified_at for row in page.rows if row.modified_at]
            if stamps:
                crosswalk.read_to(store, system, kind, max(stamps))
        read += len(page.rows)
    return read


def keep_raw(store: Store, system: System, kind: str, records: list[tuple[str, str]]) -> None:
    """Keep payloads as received, each version once."""
    store.run_many(
        "insert into raw.record (system, instance, kind, record_id, payload_hash, payload) "
        "values (%(system)s, %(instance)s, %(kind)s, %(id)s, %(hash)s, %(payload)s) on conflict do nothing",
        [
            {
                "system": system.key, "instance": system.instance, "kind": kind, "id": record_id, "payload": payload,
                "hash": hashlib.sha256(payload.encode()).hexdigest(),
            }
            for record_id, payload in records
        ],
    )  # fmt: skip


def _report(store: Store, config: Config, system: System, kind: str, bad: list[BadRow]) -> None:
    exceptions.open_all(
        store,
        config,
        [exceptions.Finding("record", kind, b.record_id, "payload", None, f"{system.key}: {b.problem}") for b in bad],
    )


def _customer(store: Store, system: System, record_id: str, customer: Customer) -> None:
    store.run(sql("warehouse.sync", "customer"), **customer.model_dump())
    crosswalk.link(store, "customer", customer.customer_id, system, record_id)


def _opportunity(store: Store, system: System, record_id: str, deal: Opportunity) -> None:
    store.run(sql("warehouse.sync", "opportunity"), **deal.model_dump(exclude={"lines"}))
    store.run(
        "delete from core.opportunity_line where opportunity_id = %(deal)s and line_id <> all(%(kept)s)",
        deal=record_id, kept=[line.line_id for line in deal.lines],
    )  # fmt: skip
    store.run_many(
        sql("warehouse.sync", "opportunity_line"),
        [{"opportunity_id": record_id} | line.model_dump() for line in deal.lines],
    )


def _resource(store: Store, system: System, record_id: str, person: Resource) -> None:
    store.run(sql("warehouse.sync", "resource"), **person.model_dump())


def _rate_card(store: Store, system: System, record_id: str, card: RateCard) -> None:
    store.run(sql("warehouse.sync", "rate_card"), **card.model_dump(exclude={"rates"}))
    store.run(
        sql("warehouse.sync", "drop_rates"),
        card=record_id,
        roles=[rate.role for rate in card.rates],
        days=[rate.valid_from for rate in card.rates],
    )
    in_order = sorted(card.rates, key=lambda rate: rate.valid_from)  # an old price ends before the next begins
    store.run_many(sql("warehouse.sync", "rate"), [{"rate_card_id": record_id} | r.model_dump() for r in in_order])
