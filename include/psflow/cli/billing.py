"""Billing in words: what a printed amount hangs on, what the next batch would be, and other prices for it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.tree import Tree

from psflow.cli.base import AsJson, app, console, open_store, plain
from psflow.errors import ConfigurationError

if TYPE_CHECKING:
    from psflow.contracts import Period
    from psflow.explain import Explained
    from psflow.flows.billing_plan import Plan
    from psflow.flows.rerate import Change

_A_LINE = 10_000  # characters: what is written to a file keeps its lines, a terminal's are folded
plan = typer.Typer(no_args_is_help=True, help="What a run would do, before it does it.")
app.add_typer(plan, name="plan")


@app.command()
def explain(
    identifier: Annotated[str, typer.Argument(help="Invoice or its number, invoice line, charge, or entry.")],
    as_json: AsJson = False,
) -> None:
    """Say what a printed amount hangs on, down to its entries; or why an entry is not billed."""
    from psflow.explain import explain, find

    with open_store() as (store, policy):
        told = [explain(store, policy, found) for found in find(store, identifier)]
    if as_json:
        print(json.dumps([dataclasses.asdict(each) for each in told], indent=1, default=str))
        return
    out = console()
    out.width = out.width if out.is_terminal else _A_LINE
    for each in told:
        out.print(_tree(each))


@plan.command("billing")
def billing(
    entity: Annotated[str, typer.Option(help="Legal entity of psflow.yaml, e.g. MER-US.")],
    period: Annotated[str, typer.Option(help="Up to the end of which month, YYYY-MM.")],
    xlsx: Annotated[Path | None, typer.Option(help="Also write it as a workbook.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the plan of the period's open batch, or of the batch that a run would make now. Nothing is changed."""
    from psflow.flows.billing_plan_sheets import sheets
    from psflow.flows.billing_preview import preview
    from psflow.workbook import write

    when = _period(period)
    with open_store() as (store, policy):
        found = preview(store, policy, entity, when)
        if found and xlsx:
            write(xlsx, sheets(store, found))
    if as_json:
        print(json.dumps(dataclasses.asdict(found) if found else None, indent=1, default=str))
    elif found:
        _print(found)
    else:
        print(f"nothing to bill for {entity} up to {when.end}")


@app.command()
def rerate(
    entity: Annotated[str, typer.Option(help="Legal entity of psflow.yaml, e.g. MER-US.")],
    period: Annotated[str, typer.Option(help="Month of the batch that is frozen and not posted, YYYY-MM.")],
    apply: Annotated[bool, typer.Option("--apply", help="Freeze it anew at those prices; it takes --as.")] = False,
    person: Annotated[str | None, typer.Option("--as", help="Airflow user of who applies it: may `rates`.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the prices of now would change in what is frozen and not posted; billed work is never touched."""
    from psflow.flows.rerate import rerate

    if apply and person is None:
        raise ConfigurationError("--apply takes --as: prices are changed by a person")
    with open_store() as (store, policy):
        by = policy.person_of(person) if apply and person else None
        batch, changes = rerate(store, policy, entity, _period(period), by)
    if as_json:
        print(json.dumps({"batch": batch, "changes": [change._asdict() for change in changes]}, indent=1, default=str))
    else:
        _print_changes(changes)
        print(f"batch {batch} has these prices; it is to be checked and approved" if batch else "nothing is changed")


def _period(name: str) -> Period:
    from psflow.contracts import Period

    try:
        return Period(name=name)
    except ValueError:
        raise ConfigurationError(f"--period {name!r} is not YYYY-MM") from None


def _print_changes(changes: list[Change]) -> None:
    from psflow.flows.rerate import Change, totals

    table = Table(*(name.replace("_", " ") for name in Change._fields), "difference", box=None, pad_edge=False)
    for change in changes:
        cells = [*change, None if change.after is None else change.after - change.before]
        table.add_row(*("none" if cell is None else plain(str(cell)) for cell in cells))
    console().print(table if changes else "no price differs")
    for currency, before, after, waits in totals(changes):
        said = f"; {waits} has no price now and would wait" if waits else ""
        print(f"{currency}: before {before}, after {after}, difference {after - before}{said}")


def _tree(told: Explained) -> Tree:
    tree = Tree(f"[bold]{plain(told.says)}[/bold]")
    for why in told.because:
        tree.add(f"because {plain(why)}")
    if told.cost:
        tree.add(f"[dim]{plain(told.cost)}[/dim]")
    for name, value in told.facts.items():
        tree.add(f"[dim]{plain(name)}[/dim] {plain(value)}")
    tree.children.extend(_tree(part) for part in told.parts)
    return tree


def _print(found: Plan) -> None:
    from psflow.flows.billing_plan import TABLES, facts

    for name, value in facts(found).items():
        console().print(f"{name:<15} {plain(value)}", soft_wrap=True)
    for name, rows in found.tables.items():
        console().print(f"\n[bold]{TABLES[name]}[/bold]: {len(rows) or 'nothing'}")
        if rows:
            table = Table(*(column.replace("_", " ") for column in rows[0]), box=None, pad_edge=False)
            for row in rows:
                table.add_row(*("" if cell is None else plain(str(cell)) for cell in row.values()))
            console().print(table)
