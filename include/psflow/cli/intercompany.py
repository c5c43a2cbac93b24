"""What our companies owe each other for lent hours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from psflow.cli.base import AsJson, app, console, open_store, plain

if TYPE_CHECKING:
    from psflow.store.connection import Row

_OWED = ("lender", "borrower", "month", "hours", "due_from", "due_to", "difference", "currency")
_WAITS = ("lender", "borrower", "month", "hours", "waits_for")


@app.command()
def intercompany(
    period: Annotated[str | None, typer.Option(help="Month in which it counts, YYYY-MM; none: all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what our companies owe each other for lent hours, in the books of both, and which hours wait for what."""
    from psflow.flows.intercompany import owed, waiting

    with open_store() as (store, _):
        found = {"owed": owed(store, period), "waiting": waiting(store, period)}
    if as_json:
        print(json.dumps(found, indent=1, default=str))
        return
    _print(_OWED, found["owed"], "Nothing is owed.")
    if found["waiting"]:
        console().print("\nHours that wait:")
        _print(_WAITS, found["waiting"], "")


def _print(columns: tuple[str, ...], rows: list[Row], nothing: str) -> None:
    table: Any = Table(*columns, box=None, pad_edge=False) if rows else nothing
    for row in rows:
        table.add_row(*(plain(f"{row[name]:,.2f}" if name in _NUMBERS else str(row[name] or "?")) for name in columns))
    console().print(table)


_NUMBERS = ("hours", "due_from", "due_to", "difference")
