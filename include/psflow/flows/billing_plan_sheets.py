"""A billing plan as sheets of a workbook: what it is of, a sheet a table, every entry, and what the columns mean."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from psflow.flows import billing_plan
from psflow.flows.billing_plan import COLUMNS, NUMBERS, TABLES, Plan
from psflow.store.connection import Row, Store, sql
from psflow.workbook import Cell, Sheet


def sheets(store: Store, plan: Plan) -> list[Sheet]:
    """Return the sheets of a plan, its facts first and the definitions last; entries only of what is frozen."""
    entries = store.rows(sql("warehouse.billing_plan", "entries"), batch=plan.batch["batch_id"])
    tables = plan.tables | ({"entries": json.loads(json.dumps(entries, default=str))} if entries else {})
    filled = [_table(name.capitalize(), rows) for name, rows in tables.items()]
    return [Sheet("Plan", ("what", "value"), _facts(store, plan)), *filled, _definitions(tables)]


def _facts(store: Store, plan: Plan) -> Iterator[Sequence[Cell]]:
    yield from billing_plan.facts(plan).items()
    for row in billing_plan.decisions(store, plan.batch["batch_id"]):
        who = f"{row['airflow_user']} ({row['person']}), {row['decided_at']:%Y-%m-%d %H:%M} UTC"
        said = f": {row['reason']}" if row["reason"] else ""
        yield f"{row['step']} {row['batch_id']}: {row['decision']}", who + said
        yield "Run", row["run_id"]


def _table(name: str, rows: list[Row]) -> Sheet:
    head = list(rows[0]) if rows else ["nothing"]
    return Sheet(name, head, ([_cell(column, row[column]) for column in head] for row in rows))


def _cell(column: str, value: str | int | None) -> Cell:
    if value is None or isinstance(value, int):
        return value
    if column in NUMBERS:
        return Decimal(value)
    return dt.date.fromisoformat(value) if column == "worked_on" else value


def _definitions(tables: Mapping[str, list[Row]]) -> Sheet:
    columns = [(name, column, COLUMNS[column]) for name, rows in tables.items() if rows for column in rows[0]]
    said = [(name, "", says) for name, says in TABLES.items()]
    return Sheet("Definitions", ("table", "column", "what it means"), said + columns)
