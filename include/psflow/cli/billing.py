"""Billing in words: what a printed amount hangs on, and what the next batch would be."""

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
    from psflow.explain import Explained
    from psflow.flows.billing_plan import Plan

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
    for each in told:
        console().print(_tree(each), soft_wrap=True)


@plan.command("billing")
def billing(
    entity: Annotated[str, typer.Option(help="Legal entity of psflow.yaml, e.g. MER-US.")],
    period: Annotated[str, typer.Option(help="Up to the end of which month, YYYY-MM.")],
    xlsx: Annotated[Path | None, typer.Option(help="Also write it as a workbook.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the plan of the period's open batch, or of the batch that a run would make now. Nothing is changed."""
    from psflow.contracts import Period
    from psflow.flows.billing_plan_sheets import sheets
    from psflow.flows.billing_preview import preview
    from psflow.workbook import write

    try:
        when = Period(name=period)
    except ValueError:
        raise ConfigurationError(f"--period {period!r} is not YYYY-MM") from None
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


def _tree(told: Explained) -> Tree:
    tree = Tree(f"[bold]{plain(told.says)}[/bold]")
    for why in told.because:
        tree.add(f"because {plain(why)}")
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
