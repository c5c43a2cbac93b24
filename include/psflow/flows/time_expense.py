"""
Approved time and expenses on their way to billing: stream them in, keep what changed, let the gate split it.

Rows are frozen in `core.time_entry` and `core.expense_entry` under the load that brought them; billing uses a version
only after its gate. Both take the same way; the SQL of each is the folder of its name.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator
from itertools import chain
from typing import Any, Literal

from psflow.config import Config
from psflow.contracts.text import storable
from psflow.errors import GateFailed
from psflow.flows.gate import judge
from psflow.flows.reading import again, findings, keep_raw, uncorrected
from psflow.gates.suite import Gate
from psflow.store import crosswalk, dead_letters, exceptions, gate_runs
from psflow.store.connection import Store, sql
from psflow.systems.ports import BadRow, ExpensePage, ExpenseRow, Page, Psa, Pulled, TimeEntryRow, TimePage

Kind = Literal["time_entry", "expense_entry"]
_FEW, _SHARE = 20, 10  # more missing at once than this many, and than a tenth of all, is not believed


def load(store: Store, config: Config, psa: Psa) -> dict[str, int]:
    """
    Read time entries changed since the last load and keep new versions of those that differ; return counts.

    One transaction with its watermark: a load that dies is a load that never was. Entries the gate held are
    resolved again, since their project or person may be known by now. Then entries of open periods that the PSA has
    no more are marked as gone: it leaves no trace of what was deleted.
    """
    counts = _load(store, config, psa, "time_entry", psa.time_entries(crosswalk.read_since(store, psa, "time_entry")))
    return counts | {"gone": _find_gone(store, config, psa, "time_entry", psa.time_entry_ids)}


def load_expenses(store: Store, config: Config, psa: Psa) -> dict[str, int]:
    """
    Read all expenses and keep new versions of those that differ, as `load` does; return counts.

    All of them every time: they are few, and only a complete read says which were deleted.
    """
    present = set[str]()
    counts = _load(store, config, psa, "expense_entry", _noted(psa.expenses(None), present))
    return counts | {"gone": _find_gone(store, config, psa, "expense_entry", lambda _: present)}


def _noted(pages: Iterator[ExpensePage], present: set[str]) -> Iterator[ExpensePage]:
    for page in pages:
        present.update(row.expense_entry_id for row in page.rows)
        present.update(bad.record_id for bad in page.bad)
        yield page


def _load(
    store: Store, config: Config, psa: Psa, kind: Kind, pages: Iterator[TimePage] | Iterator[ExpensePage]
) -> dict[str, int]:
    read, bad, folder = 0, list[BadRow](), f"warehouse.time_expense.{kind}"
    with store.transaction("time_expense.load"):
        store.run(sql(folder, "staging"))
        asked = dead_letters.waiting(store, psa.key, psa.instance, kind)
        with store.copy(sql(folder, "copy")) as stream:
            every: Iterator[Page[Any] | TimePage | ExpensePage] = chain((again(psa, kind, row) for row in asked), pages)
            for page in every:
                for row in page.rows:
                    if problem := _not_storable(row):
                        bad.append(BadRow(row[0], problem, row.payload))
                    else:
                        stream.write_row(row)
                read += len(page.rows)
                bad += page.bad
        store.run("analyze entry_staging")
        _alone(store)
        merged = store.row(sql(folder, "merge"), system=psa.key, instance=psa.instance) or {}
        _set_aside(store, config, psa, kind, bad)
        dead_letters.ended(store, asked)
        if merged["read_to"]:
            crosswalk.read_to(store, psa, kind, merged["read_to"])
    return {"read": read, "changed": merged["changed"], "out_of_shape": len(bad)}


def _not_storable(row: Pulled[Any] | TimeEntryRow | ExpenseRow) -> str:
    """Return why Postgres takes a row not, empty when it does: a NUL, which its payload has as JSON writes it."""
    if "\\u0000" not in row.payload:
        return ""
    named = [name for name, value in zip(row._fields, row, strict=True) if isinstance(value, str) and "\0" in value]
    return f"{' and '.join(named)}: a NUL character is in it; take it out" if named else ""


def _alone(store: Store) -> None:
    """Wait for whoever numbers versions of entries, or be it, until the transaction ends."""
    store.run("select pg_advisory_xact_lock(hashtext('psflow.time_expense'))")


def _find_gone(
    store: Store, config: Config, psa: Psa, kind: Kind, listed: Callable[[dt.date], Collection[str] | Iterator[str]]
) -> int:
    """Compare the open days with a complete read; too many missing is an exception, and nothing is marked."""
    folder = f"warehouse.time_expense.{kind}"
    worked_from = store.value(sql(folder, "open_from"))
    if worked_from is None:
        return 0
    read = {"present": sorted(set(map(storable, listed(worked_from)))), "worked_from": worked_from}
    found = store.row(sql(folder, "missing"), **read) or {}
    if found["missing"] <= max(_FEW, found["known"] // _SHARE):
        with store.transaction("time_expense.gone"):
            _alone(store)
            exceptions.resolve(store, "record", kind, ["*"])
            return store.run(sql(folder, "gone"), **read)
    said = (
        f"{psa.key}: {found['missing']} of {found['known']} {'entries' if kind == 'time_entry' else 'expenses'} since "
        f"{worked_from} are missing at once, and none is taken as deleted; is the API user still an account "
        "administrator?"
    )
    with store.transaction("time_expense.missing"):
        many = exceptions.Finding("record", kind, "*", "deleted", str(found["missing"]), said)
        exceptions.open_all(store, config, [many])
    return 0


def _set_aside(store: Store, config: Config, psa: Psa, kind: Kind, bad: list[BadRow]) -> None:
    keep_raw(store, psa, kind, [(b.record_id, b.payload) for b in bad])
    exceptions.open_all(store, config, findings(psa, kind, uncorrected(store, psa, kind, bad)))
    store.run(sql(f"warehouse.time_expense.{kind}", "readable_again"), system=psa.key)


def check(store: Store, config: Config, gate: Gate, kind: Kind = "time_entry") -> dict[str, int]:
    """
    Let the gate split every load of one kind it has not judged; return entries passed and held, now and in all.

    A gate that fails or cannot be run leaves its load pending, and none of it is billed; the other loads go on. Raises
    GateFailed then, once they are judged.
    """
    loads = store.rows(sql(f"warehouse.time_expense.{kind}", "pending_loads"))
    passed, failed = 0, list[str]()
    for row in loads:
        try:
            passed += _check_load(store, config, gate, kind, str(row["load_id"]))
        except GateFailed as error:
            failed.append(str(error))
    if failed:
        raise GateFailed(f"{len(failed)} of {len(loads)} loads wait, {passed} entries passed: {'; '.join(failed)}")
    return {"passed": passed, "held": store.value(sql(f"warehouse.time_expense.{kind}", "held"))}


def _check_load(store: Store, config: Config, gate: Gate, kind: Kind, load_id: str) -> int:
    suite = f"time_expense/{kind}"
    content = store.value("select core.load_hash(%(load)s)", load=load_id)
    verdict = judge(store, gate, suite, load_id, lambda: store.value("select core.load_hash(%(load)s)", load=load_id))
    failing = sorted({row.key for row in verdict.failing})
    with store.transaction("time_expense.verdict"):
        gate_runs.record(
            store, suite, load_id, content, verdict.rows, len(failing), verdict.checks, verdict.failing, verdict.results
        )
        split = store.row(sql(f"warehouse.time_expense.{kind}", "split"), load=load_id, failing=failing) or {}
        held = set(split["held"])
        exceptions.open_all(
            store,
            config,
            [
                exceptions.Finding(kind, kind, row.key, row.field, row.value, f"{row.rule}: {row.says}")
                for row in verdict.failing
                if row.key in held
            ],
        )
    return int(split["passed"])
