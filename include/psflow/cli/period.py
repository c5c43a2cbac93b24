"""Months: the controls like a test run, soft close and re-open, and what customers dispute."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from psflow.cli.base import AsJson, AsUser, app, console, open_store, plain

if TYPE_CHECKING:
    from psflow.contracts import Period
    from psflow.flows.period_controls import Control

Entity = Annotated[str, typer.Option(help="Legal entity, an id of psflow.yaml.")]
Month = Annotated[str, typer.Option("--period", help="YYYY-MM.")]
Why = Annotated[str, typer.Option(help="Why; it is audited.")]
Number = Annotated[int, typer.Argument(help="Number of the dispute; see `psflow dispute list`.")]

close = typer.Typer(no_args_is_help=True, help="Months of a legal entity. The DAG `close` has one signed.")
app.add_typer(close, name="close")
dispute = typer.Typer(no_args_is_help=True, help="What customers do not accept of an invoice.")
app.add_typer(dispute, name="dispute")


@close.command()
def check(entity: Entity, period: Month, as_json: AsJson = False) -> None:
    """Print the controls of a month as they are now. Exit code 1 when one is broken; nothing is kept."""
    import json
    from dataclasses import asdict

    from psflow.flows.period_controls import check as ask

    with open_store() as (store, policy):
        controls = ask(store, policy, entity, _month(period))
    if as_json:
        print(json.dumps([asdict(control) for control in controls], indent=1, default=str))
    else:
        for control in controls:
            _print(control)
        broken = sum(bool(control.broken) for control in controls)
        print(f"\n{len(controls) - broken} tied, {broken} broken: {entity} {period}")
    if any(control.broken for control in controls):
        raise typer.Exit(1)


def _print(control: Control) -> None:
    from psflow.flows.period_controls import worded

    result = "[red]BROKEN[/red]" if control.broken else "[green]tied[/green]"
    counted = f"{control.records} records, {worded(control.sums)}, hash {(control.content_hash or 'none')[:12]}"
    console().print(f"{control.control:<4}{result}  {plain(control.says)}", soft_wrap=True)
    console().print(f"    {plain(counted)}", soft_wrap=True)
    for row in control.broken:
        values = f"{row['left_value']} / {row['right_value']} {row['unit']}"
        console().print(f"    - {plain(row['record_id'])}: {plain(row['says'])} ({plain(values)})", soft_wrap=True)


@close.command()
def soft(entity: Entity, period: Month, reason: Why, person: AsUser) -> None:
    """Let a month take nothing but credits and write-offs that two persons decide."""
    from psflow.flows.period import soft_close

    with open_store() as (store, policy):
        soft_close(store, policy, entity, _month(period), person, reason)
    print(f"{entity} {period}: soft-closed")


@close.command()
def reopen(entity: Entity, period: Month, reason: Why, person: AsUser) -> None:
    """Open a month again; the DAG `reopen` asks for the same in Airflow."""
    from psflow.flows.period import reopen as open_again

    with open_store() as (store, policy):
        open_again(store, policy, entity, _month(period), person, reason)
    print(f"{entity} {period}: open; the next close makes a new version of its controls")


@dispute.command("raise")
def raise_(
    invoice: Annotated[str, typer.Argument(help="Our reference on the invoice.")],
    amount: Annotated[str, typer.Option(help="What is disputed, in the invoice's currency.")],
    reason: Why,
    owner: Annotated[str, typer.Option(help="Airflow user of who settles it.")],
    person: AsUser,
    line: Annotated[str | None, typer.Option(help="Key of the line, when it is one.")] = None,
) -> None:
    """Note what a customer does not accept; its owner gets an exception, the tie-out shows it as explained."""
    from psflow.flows.dispute import note

    with open_store() as (store, policy):
        number = note(store, policy, invoice, _number(amount), reason, owner, person, line)
    print(f"dispute {number}: open")


@dispute.command()
def credit(
    number: Number,
    entry: Annotated[list[str], typer.Option(help="Entry to credit, `id` or `id=hours`; once an entry.")],
    reason: Why,
    asked: Annotated[str, typer.Option(help="Airflow user of who asks for the credit; another person than --as.")],
    person: AsUser,
) -> None:
    """End a dispute with credits; the next batch makes them."""
    from psflow.flows import dispute as flow

    parts = [one.partition("=") for one in entry]
    minutes = {key: _number(hours) * 60 if hours else None for key, _, hours in parts}
    with open_store() as (store, policy):
        total = flow.credit(
            store,
            policy,
            number,
            minutes,
            reason,
            asked_by=asked,
            airflow_user=person,
            on=dt.datetime.now(dt.UTC).date(),
        )
    print(f"dispute {number}: {total} credited; the next batch makes the credits")


@dispute.command()
def reject(number: Number, reason: Why, person: AsUser) -> None:
    """End a dispute: the customer owes what was invoiced."""
    from psflow.flows import dispute as flow

    with open_store() as (store, policy):
        flow.reject(store, policy, number, reason, person)
    print(f"dispute {number}: rejected")


@dispute.command("list")
def list_() -> None:
    """Show what is disputed now."""
    from psflow.flows.dispute import open_disputes

    columns = ("dispute_id", "invoice_key", "line_key", "amount", "currency", "owner", "reason")
    with open_store() as (store, _):
        rows: list[dict[str, Any]] = open_disputes(store)
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(plain(str(row[name] or "")) for name in columns))
    console().print(table)


def _month(name: str) -> Period:
    from psflow.contracts import Period
    from psflow.errors import ConfigurationError

    try:
        return Period(name=name)
    except ValueError:
        raise ConfigurationError(f"period {name!r} is not YYYY-MM") from None


def _number(text: str) -> Decimal:
    from psflow.errors import ConfigurationError

    try:
        return Decimal(text)
    except ArithmeticError:
        raise ConfigurationError(f"{text!r} is no number; write it like 1234.50") from None
