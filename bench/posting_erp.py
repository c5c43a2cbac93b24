"""
Invoices in the real ERP: drafted and posted by psflow, beside the same documents by bare calls one after the other.

`python -m bench.posting_erp - ADDRESS DATABASE` is the measured process; the login's password is in BENCH_PASSWORD.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.ground import REGION, ROOT, Ground
from bench.measure import arguments, say
from psflow import config as policy
from psflow.config import Config
from psflow.flows.effects import drive
from psflow.sandbox.tryton import TrytonServer
from psflow.store import effects
from psflow.store.accounts import SharedAccount
from psflow.store.connection import Store
from psflow.systems.transport import Transport
from psflow.systems.tryton import mapping
from psflow.systems.tryton.client import Tryton

_DOCUMENTS, _LINES, _TIMES = 8, 5, 3
_CACHE = Path(os.environ.get("PSFLOW_STATE_DIR") or ROOT / ".runtime") / "cache" / "tryton"
_CUSTOMER = {"customer_id": "C-1", "name": "Bench", "street": "1 Main Street", "city": "Springfield", "country": "US"}


def share(ground: Ground) -> float:
    """Return psflow's documents a second over the ERP's own."""
    erp = TrytonServer(ground.folder / "tryton", ground.server, _CACHE, "bench_tryton")
    erp.start()
    try:
        with_password = replace(ground, environ=ground.environ | {"BENCH_PASSWORD": erp.password})
        said = with_password.run("bench.posting_erp", ground.database("bench_posting_erp"), erp.url, erp.database)
    finally:
        erp.stop()
    return float(said["share"])


def measure(url: str, address: str, database: str) -> None:
    """Let both post as many documents, in turns, and say the ratio of the medians."""
    config = policy.load(ROOT / "psflow.yaml")
    with Store.open(url, REGION) as store:
        account = SharedAccount(store, config, "tryton", "127.0.0.1")
        profile = config.systems["tryton"]
        secret = os.environ["BENCH_PASSWORD"]
        erp = Tryton(
            Transport("tryton", address, profile.deadline_s, account=account), profile,
            TrytonServer.login, secret, database, TrytonServer.company,
        )  # fmt: skip
        (party,) = _sent(store, config, erp, "create_customer", {"C-1": _CUSTOMER})
        _bare(erp, _documents("warm", party, 1))
        took: dict[str, list[float]] = {"bare": [], "psflow": []}
        for n in range(_TIMES):
            took["bare"].append(_seconds(_bare, erp, _documents(f"B{n}", party)))
            took["psflow"].append(_seconds(_psflow, store, config, erp, _documents(f"P{n}", party)))
    middle = {who: statistics.median(times) for who, times in took.items()}
    say(share=middle["bare"] / middle["psflow"], **middle)


def _seconds(post: Callable[..., None], *given: Any) -> float:
    began = time.perf_counter()
    post(*given)
    return time.perf_counter() - began


def _bare(erp: Tryton, documents: dict[str, dict[str, Any]]) -> None:
    """Make and post each over one session, with no thought of what may be lost."""
    books = erp._masters.books()
    for payload in documents.values():
        buyer, currency = erp._masters.buyer(payload), erp._masters.currency(payload["currency"])
        made = erp._rpc.read("model.account.invoice.create", [mapping.invoice(payload, buyer, books, currency)])
        erp._rpc.read("model.account.invoice.post", made, _skip_warnings=True)


def _psflow(store: Store, config: Config, erp: Tryton, documents: dict[str, dict[str, Any]]) -> None:
    """Draft each, read all back, post each: as an approved batch is posted."""
    drafted = _sent(store, config, erp, "draft_invoice", documents)
    erp.invoices(list(documents))
    posted = {key: {"invoice_key": key, "erp_invoice_id": made} for key, made in zip(documents, drafted, strict=True)}
    _sent(store, config, erp, "post_invoice", posted)


def _sent(store: Store, config: Config, erp: Tryton, capability: str, what: dict[str, dict[str, Any]]) -> list[str]:
    """Register and drive effects; return the ERP's ids in their order. Raises RuntimeError when one is not done."""
    with store.transaction("bench.registered"):
        keys = effects.register(
            store, [effects.NewEffect("tryton", capability, name, load) for name, load in what.items()]
        )
    drive(store, config, erp, keys)
    states = effects.states(store, keys)
    if left := [row for row in states.values() if row["state"] != "done"]:
        raise RuntimeError(f"{len(left)} of {len(keys)} were not sent: {left[0]}")
    return [str(states[key]["external_id"]) for key in keys]


def _documents(name: str, party: str, count: int = _DOCUMENTS) -> dict[str, dict[str, Any]]:
    head = {"project_code": "P-1", "customer_ref": party, "legal_entity_id": "MER-US", "currency": "USD"}
    head |= {"invoiced_on": "2026-10-31"}
    found = {}
    for n in range(count):
        key = f"BENCH.{name}.{n}"
        lines = [
            {
                "line_key": f"{key}.{m}",
                "role": f"Role {m}",
                "hours": "7.50",
                "hourly_rate": "180.00",
                "amount": "1350.00",
            }
            for m in range(_LINES)
        ]
        found[key] = head | {"invoice_key": key, "lines": lines}
    return found


if __name__ == "__main__":
    measure(*arguments())
