"""
The `psflow` command. Each command imports what it needs when it runs, so `--help` stays quick.

A PsflowError ends as one message on stderr and exit code 1; anything else is a defect and keeps its traceback.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from psflow.errors import ConfigurationError, PsflowError, TransientError

if TYPE_CHECKING:
    from types import FrameType

    from psflow.config import Config
    from psflow.sandbox.stack import Stack
    from psflow.store.connection import Store

DOWN = "the stack is down; start it with `psflow up`"


class _Group(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        for number in (signal.SIGTERM, signal.SIGHUP):  # end as on Ctrl-C, so that what was started is stopped
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, _interrupt)
        try:
            return super().invoke(ctx)
        except PsflowError as error:
            _console(stderr=True).print(f"[red]error[/red] {_plain(str(error))}", soft_wrap=True)
            raise typer.Exit(1) from None


app = typer.Typer(cls=_Group, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Carry professional-services deals from closed-won to a tied-out invoice."""


@app.command()
def up() -> None:
    """Start the local stack and leave it running."""
    stack = _stack()
    console, began = _console(), time.monotonic()
    with console.status("starting the local stack"):
        stack.up(lambda service: console.print(f"  {service:<20} ready after {time.monotonic() - began:5.1f} s"))
    _print_places(stack)


@app.command()
def down(forget: Annotated[bool, typer.Option(help="Also delete what the stack kept.")] = False) -> None:
    """Stop the local stack, whoever started it."""
    stack = _stack()
    ran = [name for name, row in stack.status().items() if row["pid"]]
    stack.forget() if forget else stack.down()
    _console().print(f"stopped {', '.join(ran)}" if ran else "nothing was running")


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Say what runs. Exit code 1 unless everything is healthy."""
    stack = _stack()
    rows = stack.status()
    if as_json:
        print(json.dumps(rows | _business(stack), indent=1, default=str))
    else:
        table = Table("service", "state", "pid", "address", box=None, pad_edge=False)
        for name, row in rows.items():
            table.add_row(name, _state(row), str(row["pid"] or ""), row["url"])
        _console().print(table)
        if not any(row["running"] for row in rows.values()):
            _console(stderr=True).print(DOWN)
    raise typer.Exit(0 if all(row["healthy"] for row in rows.values()) else 1)


@app.command()
def logs(
    service: Annotated[str | None, typer.Argument(help="One service; all without it.")] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("-n", help="Last lines of each.")] = 20,
) -> None:
    """Print the services' logs."""
    from psflow.sandbox.processes import tail

    places = _stack().logs()
    if service and service not in places:
        raise ConfigurationError(f"no log of {service!r}; there is {', '.join(places) or 'none yet: ' + DOWN}")
    chosen = {service: places[service]} if service else places
    for name, line in tail(chosen, lines, follow=follow):
        print(line if service else f"{name:<14} {line}", flush=follow)


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check machine, installation, configuration and stack, with a hint for each failure."""
    from psflow.sandbox.doctor import examine

    findings = examine()
    if as_json:
        print(json.dumps([finding._asdict() for finding in findings], indent=1))
    else:
        for finding in findings:
            mark = "[green]ok  [/green]" if finding.ok else "[red]FAIL[/red]"
            hint = "" if finding.ok else f" -> {finding.hint}"
            _console().print(f"{mark} {finding.check:<16} {_plain(finding.found + hint)}", soft_wrap=True)
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


@app.command()
def migrate(
    url: Annotated[str | None, typer.Option(envvar="PSFLOW_MIGRATE_URL", help="Database, as its owner.")] = None,
) -> None:
    """Bring the business database to this version: the stack's, or the one at --url."""
    if url:
        from psflow.warehouse.migrate import upgrade

        revision = upgrade(url)
    else:
        stack = _stack()
        if not stack.postgres.running:
            raise ConfigurationError(DOWN)
        revision = stack.migrate()
    _console().print(f"business database is at {revision}")


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop at the end; fail unless every check holds.")] = False,
    browser: Annotated[bool, typer.Option("--browser", help="Look at the pages in Chromium and check them.")] = False,
) -> None:
    """Carry one firm's deals through the local stack and prove the result."""
    from psflow.sandbox.demo import run

    raise typer.Exit(run(once, browser))


@app.command()
def trace(identifier: Annotated[str, typer.Argument(help="Deal, engagement, project, invoice, effect …")]) -> None:
    """Show the whole history of one business id."""
    from psflow.trace import show

    show(identifier)


@app.command()
def release(
    keys: Annotated[list[str], typer.Argument(help="Keys of proposed effects, as the run's log names them.")],
    person: Annotated[str, typer.Option("--as", help="Airflow user of who releases; see people in psflow.yaml.")],
) -> None:
    """Let proposed effects out (mode `propose`); the next run sends them."""
    from psflow.flows.modes import release

    with _store() as (store, policy):
        count = release(store, keys, policy.person_of(person).person)
    print(f"{count} of {len(keys)} released")


@app.command()
def opening_balances(
    file: Annotated[Path, typer.Argument(help="CSV: project_code, as_of, hours, amount, currency.")],
) -> None:
    """Load what was billed elsewhere before psflow. Exit code 1 when a line is wrong; the others are in."""
    from psflow.flows.opening import load

    with _store() as (store, _):
        loaded, wrong = load(store, file)
    print(f"{loaded} opening balances are new")
    for line in wrong:
        _console(stderr=True).print(_plain(line), soft_wrap=True)
    if wrong:
        raise typer.Exit(1)


@contextmanager
def _store() -> Iterator[tuple[Store, Config]]:
    """Open the business database of the local stack, as the role that flows run as."""
    from psflow import config
    from psflow.store.connection import Store

    stack = _stack()
    if not stack.postgres.running:
        raise ConfigurationError(DOWN)
    policy = config.load(stack.project / "psflow.yaml")
    with Store.open(stack.database_url("psflow_app"), policy.region) as store:
        yield store, policy


def _business(stack: Stack) -> dict[str, Any]:
    """Return where the business stands (engagements, streams, effects, exceptions) while its database is up."""
    import psycopg

    from psflow import config
    from psflow.store.connection import Store
    from psflow.store.workflow import overview

    if not stack.postgres.running:
        return {}
    region = config.load(stack.project / "psflow.yaml").region
    try:
        with Store.open(stack.database_url("psflow_app"), region) as store:
            return {"business": overview(store)}
    except (TransientError, psycopg.errors.UndefinedTable):  # it is being started or made at this moment
        return {}


def _stack() -> Stack:
    from psflow.sandbox.stack import Stack

    return Stack()


def _print_places(stack: Stack) -> None:
    console = _console()
    console.print(f"Airflow          {stack.airflow.url}", soft_wrap=True)
    for user, password in stack.airflow.passwords.items():
        console.print(f"  log in as      {user:<10} {_plain(password)}", soft_wrap=True)
    console.print(f"finance's tables {_plain(stack.database_url('psflow_finance'))}", soft_wrap=True)
    console.print("stop it with     psflow down")


def _state(row: dict[str, Any]) -> str:
    if not row["running"]:
        return "[dim]down[/dim]"
    return "[green]healthy[/green]" if row["healthy"] else "[red]not healthy[/red]"


def _console(*, stderr: bool = False) -> Console:
    return Console(stderr=stderr, highlight=False)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(app())
