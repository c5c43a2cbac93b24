"""The business: one id's whole history, proposed effects, what was billed before psflow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from psflow.cli.base import AsUser, app, console, open_store, plain


@app.command()
def trace(identifier: Annotated[str, typer.Argument(help="Deal, engagement, project, invoice, effect …")]) -> None:
    """Show the whole history of one business id."""
    from psflow.trace import show

    show(identifier)


@app.command()
def release(
    keys: Annotated[list[str], typer.Argument(help="Keys of proposed effects, as the run's log names them.")],
    person: AsUser,
) -> None:
    """Let proposed effects out (mode `propose`); the next run sends them. It takes the duty `release`."""
    from psflow.flows.modes import release

    with open_store() as (store, policy):
        count = release(store, keys, policy.person_of(person))
    print(f"{count} of {len(keys)} released")


@app.command()
def opening_balances(
    file: Annotated[Path, typer.Argument(help="CSV: project_code, as_of, hours, amount, currency.")],
) -> None:
    """Load what was billed elsewhere before psflow. Exit code 1 when a line is wrong; the others are in."""
    from psflow.flows.opening import load

    with open_store() as (store, _):
        loaded, wrong = load(store, file)
    print(f"{loaded} opening balances are new")
    for line in wrong:
        console(stderr=True).print(plain(line), soft_wrap=True)
    if wrong:
        raise typer.Exit(1)
