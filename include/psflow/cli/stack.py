"""The local stack: start it, stop it, look at it, bring its database up to date, play the demo."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from psflow.cli.base import DOWN, AsJson, app, console, local_stack, plain
from psflow.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from psflow.sandbox.stack import Stack


@app.command()
def up() -> None:
    """Start the local stack and leave it running."""
    stack = local_stack()
    screen, began = console(), time.monotonic()
    with screen.status("starting the local stack"):
        stack.up(lambda service: screen.print(f"  {service:<20} ready after {time.monotonic() - began:5.1f} s"))
    _print_places(stack)


@app.command()
def down(forget: Annotated[bool, typer.Option(help="Also delete what the stack kept.")] = False) -> None:
    """Stop the local stack, whoever started it."""
    stack = local_stack()
    ran = [name for name, row in stack.status().items() if row["pid"]]
    stack.forget() if forget else stack.down()
    console().print(f"stopped {', '.join(ran)}" if ran else "nothing was running")


@app.command()
def status(as_json: AsJson = False) -> None:
    """Say what runs. Exit code 1 unless everything is healthy."""
    stack = local_stack()
    rows = stack.status()
    if as_json:
        print(json.dumps(rows | _business(stack), indent=1, default=str))
    else:
        table = Table("service", "state", "pid", "address", box=None, pad_edge=False)
        for name, row in rows.items():
            table.add_row(name, _state(row), str(row["pid"] or ""), row["url"])
        console().print(table)
        if not any(row["running"] for row in rows.values()):
            console(stderr=True).print(DOWN)
    raise typer.Exit(0 if all(row["healthy"] for row in rows.values()) else 1)


@app.command()
def logs(
    service: Annotated[str | None, typer.Argument(help="One service; all without it.")] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("-n", help="Last lines of each.")] = 20,
) -> None:
    """Print the services' logs."""
    from psflow.sandbox.processes import tail

    places = local_stack().logs()
    if service and service not in places:
        raise ConfigurationError(f"no log of {service!r}; there is {', '.join(places) or 'none yet: ' + DOWN}")
    chosen = {service: places[service]} if service else places
    for name, line in tail(chosen, lines, follow=follow):
        print(line if service else f"{name:<14} {line}", flush=follow)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check machine, installation, configuration and stack, with a hint for each failure."""
    from psflow.sandbox.doctor import examine

    findings = examine()
    if as_json:
        print(json.dumps([finding._asdict() for finding in findings], indent=1))
    else:
        for finding in findings:
            mark = "[green]ok  [/green]" if finding.ok else "[red]FAIL[/red]"
            hint = "" if finding.ok else f" -> {finding.hint}"
            console().print(f"{mark} {finding.check:<16} {plain(finding.found + hint)}", soft_wrap=True)
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
        stack = local_stack()
        if not stack.postgres.running:
            raise ConfigurationError(DOWN)
        revision = stack.migrate()
    console().print(f"business database is at {revision}")


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop at the end; fail unless every check holds.")] = False,
    browser: Annotated[bool, typer.Option("--browser", help="Look at the pages in Chromium and check them.")] = False,
) -> None:
    """Carry one firm's deals through the local stack and prove the result."""
    from psflow.sandbox.demo import run

    raise typer.Exit(run(once, browser))


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


def _print_places(stack: Stack) -> None:
    screen = console()
    screen.print(f"Airflow          {stack.airflow.url}", soft_wrap=True)
    for user, password in stack.airflow.passwords.items():
        screen.print(f"  log in as      {user:<10} {plain(password)}", soft_wrap=True)
    screen.print(f"finance's tables {plain(stack.database_url('psflow_finance'))}", soft_wrap=True)
    screen.print("stop it with     psflow down")


def _state(row: dict[str, Any]) -> str:
    if not row["running"]:
        return "[dim]down[/dim]"
    return "[green]healthy[/green]" if row["healthy"] else "[red]not healthy[/red]"
