"""
What all commands share: one message instead of a traceback, the local stack, its database, the console.

A PsflowError ends as one message on stderr and exit code 1; anything else is a defect and keeps its traceback.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from psflow.errors import ConfigurationError, PsflowError

if TYPE_CHECKING:
    from types import FrameType

    from psflow.config import Config
    from psflow.sandbox.stack import Stack
    from psflow.store.connection import Store

DOWN = "the stack is down; start it with `psflow up`"
AsUser = Annotated[str, typer.Option("--as", help="Airflow user of who does it; see people in psflow.yaml.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class _Group(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        for number in (signal.SIGTERM, signal.SIGHUP):  # end as on Ctrl-C, so that what was started is stopped
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, _interrupt)
        try:
            return super().invoke(ctx)
        except PsflowError as error:
            console(stderr=True).print(f"[red]error[/red] {plain(str(error))}", soft_wrap=True)
            raise typer.Exit(1) from None


app = typer.Typer(cls=_Group, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Carry professional-services deals from closed-won to a tied-out invoice."""


@contextmanager
def open_store() -> Iterator[tuple[Store, Config]]:
    """Open the business database of the local stack, as the role that flows run as."""
    from psflow import config
    from psflow.store.connection import Store

    stack = local_stack()
    if not stack.postgres.running:
        raise ConfigurationError(DOWN)
    policy = config.load(stack.project / "psflow.yaml")
    with Store.open(stack.database_url("psflow_app"), policy.region, stack.seal()) as store:
        yield store, policy


def local_stack() -> Stack:
    """Return the local stack, running or not."""
    from psflow.sandbox.stack import Stack

    return Stack()


def console(*, stderr: bool = False) -> Console:
    """Return where tables and messages are printed."""
    return Console(stderr=stderr, highlight=False)


def plain(text: str) -> str:
    """Return text of others, so that nothing in it is read as markup or by the terminal."""
    from rich.markup import escape

    from psflow.contracts.text import lines

    return escape(lines(text))


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
