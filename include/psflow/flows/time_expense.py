"""
Approved time on its way to billing: stream it in, keep what changed, let the gate split it.

Rows are frozen in `core.time_entry` under the load that brought them; billing uses a version only after its gate.
"""

from __future__ import annotations

from psflow.config import Config
from psflow.flows.gate import judge
from psflow.flows.sync import keep_raw
from psflow.gates.suite import Gate
from psflow.store import crosswalk, exceptions, gate_runs
from psflow.store.connection import Store, sql
from psflow.systems.ports import BadRow, Psa

SUITE = "time_expense/time_entry"
_STREAM = "time_entry"


def load(store: Store, config: Config, psa: Psa) -> dict[str, int]:
    """
    Read entries changed since the last load and keep new versions of those that differ; return counts.

    One transaction with its watermark: a load that dies is a load that never was. Entries the gate held are
    resolved again, since their project or person may be known by now.
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
    return {"read": read, "changed": merged["changed"] if merged else 0, "out_of_shape": len(bad)}


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

    A gate that fails or cannot be run leaves its load pending: none of it is billed. Raises GateFailed then.
    """
    loads = store.rows(sql("warehouse.time_expense", "pending_loads"))
    passed = sum(_check_load(store, config, gate, str(row["load_id"])) for row in loads)
    held: int = store.value("select count(*) from core.time_entry_head where state = 'held'")
    return {"passed": passed, "held": held}


def _check_load(store: Store, config: Config, gate: Gate, load_id: str) -> int:
    content = store.value("select core.load_hash(%(load)s)", load=load_id)
    verdict = judge(store, gate, SUITE, load_id, lambda: store.value("select core.load_hash(%(load)s)", load=load_id))
    failing = sorted({row.key for row in verdict.failing})
    with store.transaction("time_expense.verdict"):
        gate_runs.record(store, SUITE, load_id, content, verdict.rows, len(failing), verdict.checks)
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
