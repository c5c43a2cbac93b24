"""Contract terms: load what is agreed, say what counts, accept a milestone, decide on an entry."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Literal

import typer

from psflow.cli.base import AsUser, app, console, open_store, plain
from psflow.errors import ConfigurationError

terms = typer.Typer(no_args_is_help=True, help="What is agreed with a customer: fees, caps, prices, steps, expenses.")
app.add_typer(terms, name="terms")


@terms.command()
def load(
    file: Annotated[Path, typer.Argument(help="YAML: blocks under a project, engagement or contract; see finance.md.")],
    person: AsUser,
) -> None:
    """Load contract terms; it takes the duty `rates`. Exit code 1 when something is wrong; the rest is in."""
    from psflow.flows.terms import load

    with open_store() as (store, policy):
        changed, wrong = load(store, policy, file, person)
    print(f"{changed} agreements are new or changed")
    for line in wrong:
        console(stderr=True).print(plain(line), soft_wrap=True)
    if wrong:
        raise typer.Exit(1)


@terms.command()
def show(project: Annotated[str, typer.Argument(help="Project code, engagement or contract.")]) -> None:
    """Say what counts today."""
    from psflow.flows.terms_words import words

    with open_store() as (store, _):
        for line in words(store, project, dt.datetime.now(dt.UTC).date()):
            console().print(plain(line), soft_wrap=True)


@app.command()
def accept(
    milestone: Annotated[str, typer.Argument(help="Id of the milestone in the contract's terms.")],
    project: Annotated[str, typer.Option(help="Project code, engagement or contract.")],
    evidence: Annotated[str, typer.Option(help="What shows the acceptance, e.g. the signed protocol.")],
    delivered_by: Annotated[str, typer.Option(help="Who delivered it; never who accepts it.")],
    person: AsUser,
    on: Annotated[str | None, typer.Option(help="Day of the acceptance, YYYY-MM-DD; none: today.")] = None,
) -> None:
    """Say that a milestone is accepted; the next batch bills it."""
    from psflow.flows.terms import accept

    try:
        day = dt.date.fromisoformat(on) if on else dt.datetime.now(dt.UTC).date()
    except ValueError:
        raise ConfigurationError(f"--on {on!r} is not YYYY-MM-DD") from None
    with open_store() as (store, policy):
        accept(store, policy, project, milestone, person, evidence, delivered_by, day)
    print(f"{milestone} of {project}: accepted")


@app.command()
def adjust(
    kind: Annotated[str, typer.Argument(help="credit or write_off.")],
    entry: Annotated[str, typer.Argument(help="Entry, e.g. 4711 or expense:12.")],
    entity: Annotated[str, typer.Option(help="Legal entity of psflow.yaml, e.g. MER-US.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept.")],
    asked: Annotated[str, typer.Option(help="Airflow user of who asks for it: may submit.")],
    person: AsUser,
    hours: Annotated[str | None, typer.Option(help="Part of it in billed hours; none: all.")] = None,
    payer: Annotated[str | None, typer.Option(help="Payer whose part alone is credited; none: all, by share.")] = None,
) -> None:
    """Credit an invoiced entry or write one off: two persons, who may submit and approve. The next batch does it."""
    from psflow.flows.billing_adjustment import Adjustment, adjust

    what: Literal["credit", "write_off"] = "credit" if kind == "credit" else "write_off"
    if what != kind:
        raise ConfigurationError(f"{kind!r} is neither credit nor write_off")
    if payer and kind == "write_off":
        raise ConfigurationError("--payer is of a credit; a write-off takes what is open of all payers")
    part, today = _minutes(hours), dt.datetime.now(dt.UTC).date()
    with open_store() as (store, policy):
        by = [policy.person_of(asked), policy.person_of(person)]
        for who, duty in zip(by, ("submit", "approve"), strict=True):
            if who not in policy.people_who_may("submit" if duty == "submit" else "approve", entity):
                raise ConfigurationError(f"{who.airflow_user} may not {duty} for {entity}; see people in psflow.yaml")
        decided = Adjustment(what, entry, part, today, reason, by[0].person, by[1].person, payer)
        amount = adjust(store, policy.legal_entity(entity), decided)
    print(f"{kind} of {entry}: {amount}; the next batch carries it out")


def _minutes(hours: str | None) -> Decimal | None:
    try:
        return Decimal(hours) * 60 if hours else None
    except InvalidOperation:
        raise ConfigurationError(f"--hours {hours!r} is no number; write it like 1.5") from None
