"""
Look without touching: a past month as it was billed beside what the engine makes of it now, or by another psflow.yaml.

All of it is worked out in one transaction that is rolled back: no row, no write to a system.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from psflow import workbook
from psflow.config import Config, NumberOwner
from psflow.contracts import Period
from psflow.flows import shadow
from psflow.flows.billing_difference import stage_difference, unstage
from psflow.store.connection import Row, Store, sql
from psflow.systems.ports import MakesBills

CAUSES = {
    "rate": "another price of the hour, or none on its day",
    "hours": "another number of hours worked",
    "increment": "billed in other steps or with another minimum",
    "cap": "a cap lets less through",
    "purchase": "no purchase order takes it",
    "decided": "written off or credited, and billed all the same",
    "late hour": "came after its project was billed for the month, and is on no bill",
    "missing": "to be billed, and on no bill",
    "not billable": "billed, and not approved, not billable, or on a contract that bills no hours",
    "billed twice": "on a bill, and on another line already",
    "held": "billed, and held by the gate of its load",
    "unknown": "billed, and names no entry, expense or contract item that we know",
    "out of scope": "billed, and of work that this legal entity does not bill with us",
    "fx": "another exchange rate or currency, or none on its day",
    "policy": "an expense at another markup, limit or price a unit",
    "quantity": "an expense whose policy counts units, and that has none",
    "item": "a contract item (milestone, fee, retainer) of another amount",
    "no amount": "a line that does not say what it comes to",
    "rounding": "the same hours and price, rounded otherwise",
    "tax": "the tax of an invoice, by other rules or rounding; no part of the sums without tax",
    "number owner": "another system's number, by one psflow.yaml and not by the other",
}
_HEAD = (
    "cause", "project", "entry", "day", "billed", "should be", "difference", "currency", "system", "bill", "line",
    "as billed", "as psflow bills it", "in our ledger",
)  # fmt: skip


class Total(NamedTuple):
    """What lines come to; an amount that a line does not have counts as nothing and the line in `lines`."""

    cause: str | None
    currency: str
    lines: int
    billed: Decimal
    should: Decimal

    @property
    def difference(self) -> Decimal:
        """Billed less what should be."""
        return self.billed - self.should


@dataclass(frozen=True, slots=True)
class Observation:
    """One month of a legal entity; `rows` are those of `warehouse/shadow/observed.sql`, both computations in each."""

    legal_entity_id: str
    period: str
    rows: list[Row]

    @property
    def differing(self) -> list[Row]:
        """The lines that differ."""
        return [row for row in self.rows if row["cause"]]

    def totals(self, *, by_cause: bool) -> list[Total]:
        """Return a total a currency: of all lines, or a cause of those that differ."""
        groups = defaultdict[tuple[str | None, str], list[Row]](list)
        for row in self.differing if by_cause else [row for row in self.rows if row["cause"] != "tax"]:
            groups[row["cause"] if by_cause else None, row["currency"]].append(row)
        return [_total(*key, rows) for key, rows in sorted(groups.items(), key=lambda item: str(item[0]))]


def observe(
    store: Store, config: Config, legal_entity_id: str, period: Period,
    reading: Sequence[tuple[MakesBills, NumberOwner]] = (),
) -> Observation:  # fmt: skip
    """
    Bill a month again as if none of it had been billed, and compare it with what was: our ledger and others' bills.

    `reading`: systems whose bills are read anew first (and who owns the number there); else as they were read last.
    """
    entity = config.legal_entity(legal_entity_id)
    scope = {"since": period.start, "until": period.end}
    with _undone(store):
        shadow.tell(store, config)
        for system, made_by in reading:
            _read(store, system, made_by)
        stage_difference(store, entity, period.end, anew_from=period.start)
        contracts = list(shadow.owners(store, legal_entity_id))
        shadow.stage(store, contracts, **scope, anew=True)
        store.run(sql("warehouse.shadow", "charges"), contracts=contracts, **scope)
        rows = _compared(store)
    return Observation(legal_entity_id, period.name, rows)


def diff(store: Store, now: Config, new: Config, legal_entity_id: str, period: Period) -> Observation:
    """
    Return which charges of a month another psflow.yaml would change: `billed` is by this one, `should` by the other.
    An invoice whose tax is another is a row of its own, with both taxes.

    What our ledger has already (`is_billed`) stays as it was invoiced; the rest is billed by the file in force then.
    """
    with _undone(store):
        store.run(sql("warehouse.shadow", "staging"))
        before = _ours(store, now, legal_entity_id, period)
        store.run(sql("warehouse.shadow", "before"))
        store.run("update shadow_tax set is_before = true")
        after = _ours(store, new, legal_entity_id, period)
        rows = _compared(store)
        for row in rows:
            _explain(row, before ^ after)
        rows += store.rows(sql("warehouse.shadow", "taxes"))
    return Observation(legal_entity_id, period.name, rows)


def rates(store: Store, config: Config, legal_entity_id: str, period: Period) -> Observation:
    """Return which lines of what is frozen and not posted the prices of now would change: `billed` is by those kept."""
    with _undone(store):
        store.run(sql("warehouse.shadow", "staging"))
        _ours(store, config, legal_entity_id, period, keeps_prices=True)
        store.run(sql("warehouse.shadow", "before"))
        _ours(store, config, legal_entity_id, period, keeps_prices=False)
        rows = _compared(store)
    return Observation(legal_entity_id, period.name, rows)


def write(path: Path, seen: Observation) -> None:
    """Write a workbook: the totals by cause, every line that differs, what each cause means."""
    totals = [*seen.totals(by_cause=False), *seen.totals(by_cause=True)]
    sums = [
        (t.cause or "all lines", CAUSES.get(t.cause or ""), t.lines, t.billed, t.should, t.difference, t.currency)
        for t in totals
    ]
    head = ("cause", "what it means", "lines", "billed", "should be", "difference", "currency")
    about = [("legal entity", seen.legal_entity_id), ("period", seen.period), *CAUSES.items()]
    workbook.write(
        path,
        [
            workbook.Sheet("summary", head, sums),
            workbook.Sheet("lines", _HEAD, map(cells, seen.differing)),
            workbook.Sheet("definitions", ("word", "meaning"), about),
        ],
    )


def facts(seen: Observation) -> dict[str, Any]:
    """Return the whole observation as JSON takes it: totals, causes, every line with both computations."""
    whole, causes = seen.totals(by_cause=False), seen.totals(by_cause=True)
    return {
        "legal_entity_id": seen.legal_entity_id,
        "period": seen.period,
        "totals": [total._asdict() | {"difference": total.difference} for total in whole],
        "causes": [total._asdict() | {"difference": total.difference} for total in causes],
        "lines": seen.differing,
    }


def cells(row: Row) -> tuple[workbook.Cell, ...]:
    """Return a line as the workbook and the terminal show it."""
    return (
        row["cause"], row["project_code"], row["entry_key"], row["worked_on"], row["billed_amount"],
        row["should_amount"], row["difference"], row["currency"], row["system"], row["bill_id"], row["line_id"],
        shadow.side(row["billed"]) if row["billed"] else "on no bill",
        shadow.side(row["should"]) if row["should"] else "nothing", "yes" if row["is_billed"] else "no",
    )  # fmt: skip


def _ours(
    store: Store, config: Config, legal_entity_id: str, period: Period, *, keeps_prices: bool | None = None
) -> set[str]:
    """
    Stage what psflow bills by a configuration; return the contracts whose number is psflow's.

    It is the month as if none of it had been billed; with `keeps_prices` said, all up to its end beside what was.
    """
    shadow.tell(store, config)
    entity, anew = config.legal_entity(legal_entity_id), keeps_prices is None
    since = period.start if anew else None
    stage_difference(store, entity, period.end, anew_from=since, keeps_prices=bool(keeps_prices))
    ours = {contract for contract, owner in shadow.owners(store, legal_entity_id).items() if owner == "psflow"}
    scope = {"since": since, "until": period.end, "anew": anew}
    store.run(sql("warehouse.shadow", "should"), contracts=sorted(ours), **scope)
    if anew:
        store.run(sql("warehouse.shadow", "taxed"), contracts=sorted(ours), **scope)
    unstage(store)
    return ours


def _explain(row: Row, changed_hands: set[str]) -> None:
    """Correct the cause of a line where it is the other file that explains it."""
    if row["billed_amount"] is None and row["should_amount"] is None:
        row["cause"] = None  # neither has a price for it
    elif row["cause"] and row["contract_id"] in changed_hands:
        row["cause"] = "number owner"


def _read(store: Store, system: MakesBills, made_by: NumberOwner) -> None:
    for page in system.bills(None):
        for row in page.rows:
            shadow.keep_bill(made_by, store, system, row.record_id, row.record)


def _compared(store: Store) -> list[Row]:
    store.run(sql("warehouse.shadow", "compare"))
    return store.rows(sql("warehouse.shadow", "observed"))


def _total(cause: str | None, currency: str, rows: list[Row]) -> Total:
    billed = sum((row["billed_amount"] or Decimal(0) for row in rows), Decimal(0))
    should = sum((row["should_amount"] or Decimal(0) for row in rows), Decimal(0))
    return Total(cause, currency, len(rows), billed, should)


@contextmanager
def _undone(store: Store) -> Iterator[None]:
    """Roll back what the block does, whatever it does."""
    with store.savepoint():
        yield
        raise psycopg.Rollback
