"""
Approved time on its way to billing: stream it in, keep what changed, let the gate split it.

Rows are frozen in `core.time_entry` under the load that brought them; billing uses a version only after its gate.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from psflow.config import Config
from psflow.errors import GateFailed
from psflow.flows.gate import judge
from psflow.flows.reading import keep_raw
from psflow.gates.suite import Gate
from psflow.store import crosswalk, exceptions, gate_runs
from psflow.store.connection import Store, sql
from psflow.systems.ports import BadRow, Psa

SUITE = "time_expense/time_entry"
_STREAM = "time_entry"
_FEW, _SHARE = 20, 10  # more missing at once than this many, and than a tenth of all, is not believed


def load(store: Store, config: Config, psa: Psa) -> dict[str, int]:
    """
    Read entries changed since the last load and keep new versions of those that differ; return counts.

    One transaction with its watermark: a load that dies is a load that never was. Entries the gate held are
    resolved again, since their project or person may be known by now. Then entries of open periods that the PSA has
    no more are marked as gone: it leaves no trace of what was deleted.
    """
    read, bad = 0, list[BadRow]()
    with store.transaction("time_expense.load"):
        store.run(sql("warehouse.time_expense", "staging"))
        since = crosswalk.read_since(store, psa, _STREAM)
        with store.copy(sql("warehouse.time_expense", "copy")) as stream:
            for page in psa.time_entries(since):
                for row in page.rows:
                    stream.write_row(row)
                read += len(page.rows)
                bad += page.bad
        store.run("analyze time_staging")
        merged = store.row(sql("warehouse.time_expense", "merge"), system=psa.key, instance=psa.instance)
        _set_aside(store, config, psa, bad)
        if merged and merged["read_to"]:
            crosswalk.read_to(store, psa, _STREAM, merged["read_to"])
    changed = merged["changed"] if merged else 0
    return {"read": read, "changed": changed, "out_of_shape": len(bad), "gone": _find_gone(store, config, psa)}


def _find_gone(store: Store, config: Config, psa: Psa) -> int:
    """Compare the open work dates with a complete read; too many missing is an exception, and nothing is marked."""
    worked_from = store.value(sql("warehouse.time_expense", "open_from"))
    if worked_from is None:
        return 0
    present = set(psa.time_entry_ids(worked_from))
    found = store.row(sql("warehouse.time_expense", "missing"), present=list(present), worked_from=worked_from) or {}
    if found["missing"] <= max(_FEW, found["known"] // _SHARE):
        with store.transaction("time_expense.believed"):
            exceptions.resolve(store, "record", _STREAM, ["*"])
        return mark_gone(store, present, worked_from)
    said = (
        f"{psa.key}: {found['missing']} of {found['known']} entries since {worked_from} are missing at once, and none "
        "is taken as deleted; is the API user still an account administrator?"
    )
    with store.transaction("time_expense.missing"):
        many = exceptions.Finding("record", _STREAM, "*", "deleted", str(found["missing"]), said)
        exceptions.open_all(store, config, [many])
    return 0


def mark_gone(store: Store, present_ids: Collection[str], worked_from: dt.date) -> int:
    """
    Take back what the PSA has no more; return how many entries got a new version.

    `present_ids`: every entry the PSA has that was worked on `worked_from` or later. One that is missing becomes not
    approved, so that billing reverses it; one that was missing and is there again becomes what it was.
    """
    with store.transaction("time_expense.gone"):
        return store.run(sql("warehouse.time_expense", "gone"), present=list(present_ids), worked_from=worked_from)


def _set_aside(store: Store, config: Config, psa: Psa, bad: list[BadRow]) -> None:
    keep_raw(store, psa, _STREAM, [(b.record_id, b.payload) for b in bad])
    findings = [
        exceptions.Finding("record", _STREAM, b.record_id, "payload", None, f"{psa.key}: {b.problem}") for b in bad
    ]
    exceptions.open_all(store, config, findings)
    store.run(sql("warehouse.time_expense", "readable_again"), system=psa.key)


def check(store: Store, config: Config, gate: Gate) -> dict[str, int]:
    """
    Let the gate split every load it has not judged; return entries passed and held, now and in all.

    A gate that fails or cannot be run leaves its load pending, and none of it is billed; the other loads go on. Raises
    GateFailed then, once they are judged.
    """
    loads = store.rows(sql("warehouse.time_expense", "pending_loads"))
    passed, failed = 0, list[str]()
    for row in loads:
        try:
            passed += _check_load(store, config, gate, str(row["load_id"]))
        except GateFailed as error:
            failed.append(str(error))
    if failed:
        raise GateFailed(f"{len(failed)} of {len(loads)} loads wait, {passed} entries passed: {'; '.join(failed)}")
    held: int = store.value("select count(*) from core.time_entry_head where state = 'held'")
    return {"passed": passed, "held": held}


def _check_load(store: Store, config: Config, gate: Gate, load_id: str) -> int:
    content = store.value("select core.load_hash(%(load)s)", load=load_id)
    verdict = judge(store, gate, SUITE, load_id, lambda: store.value("select core.load_hash(%(load)s)", load=load_id))
    failing = sorted({row.key for row in verdict.failing})
    with store.transaction("time_expense.verdict"):
        gate_runs.record(
            store, SUITE, load_id, content, verdict.rows, len(failing), verdict.checks, verdict.failing, verdict.results
        )
        split = store.row(sql("warehouse.time_expense", "split"), load=load_id, failing=failing)
        held = set(split["held"]) if split else set()
        exceptions.open_all(
            store,
            config,
            [
                exceptions.Finding("time_entry", _STREAM, row.key, row.field, row.value, f"{row.rule}: {row.says}")
                for row in verdict.failing
                if row.key in held
            ],
        )
    return int(split["passed"]) if split else 0
