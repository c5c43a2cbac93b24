"""Vendor accounts: who may be asked now, how fast, and the breaker by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from psflow.cli.base import AsJson, AsUser, app, console, open_store, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

System = Annotated[str, typer.Argument(help="A system of psflow.yaml, e.g. kantata.")]
Instance = Annotated[str | None, typer.Option(help="Which of the system's accounts; see `psflow accounts`.")]
Reason = Annotated[str, typer.Option(help="Why; it is audited and shown to everybody who waits.")]

breaker = typer.Typer(no_args_is_help=True, help="Open or close the circuit breaker of a vendor account.")
app.add_typer(breaker, name="breaker")


@app.command()
def accounts(as_json: AsJson = False) -> None:
    """Show each vendor account: breaker, why, rate budget, pause."""
    import json

    from psflow.store.breakers import overview

    with open_store() as (store, policy):
        rows = overview(store, policy)
    if as_json:
        print(json.dumps(rows, indent=1, default=str))
        return
    table = Table(
        "system", "instance", "breaker", "since", "budget", "paused until", "reason", box=None, pad_edge=False
    )
    for row in rows:
        table.add_row(*(plain(cell) for cell in _cells(row)))
    console().print(table)


@breaker.command("open")
def open_(system: System, person: AsUser, reason: Reason, instance: Instance = None) -> None:
    """Let nothing out to an account until somebody closes its breaker."""
    from psflow.store.breakers import open_breaker

    with open_store() as (store, policy):
        done = open_breaker(store, policy, system, instance, policy.person_of(person), reason)
    print(f"{done['system']} {done['instance']}: open; nothing is sent until `psflow breaker close {system}`")


@breaker.command("close")
def close(system: System, person: AsUser, reason: Reason, instance: Instance = None) -> None:
    """Let calls out to an account again, at once."""
    from psflow.store.breakers import close_breaker

    with open_store() as (store, policy):
        done = close_breaker(store, policy, system, instance, policy.person_of(person), reason)
    print(f"{done['system']} {done['instance']}: closed; what waits goes with the next run")


def _cells(row: Mapping[str, Any]) -> list[str]:
    budget = f"{row['used']} of {row['burst']} now, {row['calls']} per {row['per_s']:g} s" if row["calls"] else "none"
    why = f"{row['reason']} (by {row['opened_by']})" if row["opened_by"] else row["reason"]
    paused = f"{row['paused_until']:%H:%M:%S}" if row["paused_until"] else ""
    return [row["system"], row["instance"], row["breaker"], f"{row['since']:%Y-%m-%d %H:%M:%S}", budget, paused, why]
