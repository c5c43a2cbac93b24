"""What was given up on, and who did what: dead letters and the audit."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from psflow.cli.base import AsJson, AsUser, app, console, local_stack, open_store, plain
from psflow.errors import ConfigurationError

if TYPE_CHECKING:
    from psflow.store.connection import Store
    from psflow.store.seal import Seal

Letters = Annotated[list[str] | None, typer.Argument(help="Ids, as `psflow deadletters` lists them.")]
System = Annotated[str | None, typer.Option(help="Only of this system.")]
About = Annotated[str | None, typer.Option(help="Only of this capability or stream.")]
Text = Annotated[str | None, typer.Option(help="Only with these words in the error.")]
Since = Annotated[dt.datetime | None, typer.Option(help="Only given up since then (UTC).")]

Url = Annotated[
    str | None, typer.Option(envvar="PSFLOW_AUDIT_URL", help="Another database; its key: PSFLOW_AUDIT_KEY.")
]

letters = typer.Typer(no_args_is_help=False, help="Effects and records that were given up on.")
audit = typer.Typer(no_args_is_help=True, help="The audit: a sealed chain, and its anchor outside the database.")
app.add_typer(letters, name="deadletters")
app.add_typer(audit, name="audit")


@letters.callback(invoke_without_command=True)
def deadletters(
    context: typer.Context, system: System = None, about: About = None, text: Text = None, since: Since = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """List effects that were refused or given up and records that could not be read, newest first."""
    from psflow.store.dead_letters import listing

    if context.invoked_subcommand:
        return
    with open_store() as (store, _):
        rows = listing(store, system=system, about=about, text=text, since=_utc(since))
    if as_json:
        print(json.dumps(rows, indent=1, default=str))
        return
    table = Table("id", "state", "given up (UTC)", "corrected by", "says", box=None, pad_edge=False)
    table.columns[0].overflow = "fold"  # an id that is cut cannot be replayed
    for row in rows:
        state = f"{row['state']}, in line" if row["is_waiting"] else row["state"]
        when = f"{row['given_up_at'].astimezone(dt.UTC):%Y-%m-%d %H:%M}"
        table.add_row(*map(plain, (row["id"], state, when, row["edited_by"] or "", row["error"] or "")))
    console().print(table if rows else "nothing was given up on")


@letters.command()
def show(letter: Annotated[str, typer.Argument(help="Id of a dead letter.")], as_json: AsJson = False) -> None:
    """Print a dead letter: the payload as it was, and what its correction changes."""
    from psflow.store.dead_letters import show

    with open_store() as (store, _):
        row = show(store, letter)
    if as_json:
        print(json.dumps(row | {"changes": [c._asdict() for c in row["changes"]]}, indent=1, default=str))
        return
    console().print(f"[bold]{plain(row['id'])}[/bold] {row['state']}: {plain(row['error'] or '')}", soft_wrap=True)
    print(row["payload"])
    if row["changes"]:
        console().print(f"corrected by {plain(row['edited_by'])}: {plain(row['reason'])}", soft_wrap=True)
        _print_changes(row["changes"])


@letters.command()
def edit(
    letter: Annotated[str, typer.Argument(help="Id of a dead letter.")],
    file: Annotated[Path, typer.Argument(help="The whole payload as it should be, JSON.", exists=True)],
    person: AsUser,
    reason: Annotated[str, typer.Option(help="Why; the audit keeps it.")],
) -> None:
    """Keep a corrected copy of a dead letter; `psflow replay` takes it."""
    from psflow.store.dead_letters import edit

    with open_store() as (store, policy):
        changes = edit(store, letter, file.read_text(encoding="utf-8"), policy.person_of(person), reason)
    _print_changes(changes)


@app.command()
def replay(
    person: AsUser, ids: Letters = None, system: System = None, about: About = None, text: Text = None,
    since: Since = None,
) -> None:  # fmt: skip
    """Put dead letters back in line: those named, or all that fit. A second replay changes nothing."""
    from psflow.store.dead_letters import listing, replay

    if not ids and not any((system, about, text, since)):
        raise ConfigurationError("say which: ids, or one of --system, --about, --text, --since")
    with open_store() as (store, policy):
        found = ids or [row["id"] for row in listing(store, system=system, about=about, text=text, since=_utc(since))]
        done = replay(store, found, policy.person_of(person))
    for each in done:
        console().print(f"{plain(each.id)}: {plain(each.says)}", soft_wrap=True)
    print(f"{sum(each.is_in_line for each in done)} of {len(done)} are in line now")


@audit.command()
def verify(url: Url = None) -> None:
    """Recompute the chain and hold it against its anchor. Exit code 1 at the first row that is not as written."""
    from psflow.store.audit import verify

    with _audited(url) as (store, seal):
        found = verify(store, seal)
    if found.broken:
        console(stderr=True).print(f"[red]broken[/red] after {found.rows} rows: {plain(found.broken)}", soft_wrap=True)
        raise typer.Exit(1)
    kept = "" if seal.anchor else "; without an anchor nobody can tell whether later rows are gone"
    print(f"OK: {found.rows} rows, head {found.head or 'none'}{kept}")


@audit.command()
def anchor(
    file: Annotated[Path | None, typer.Option(help="Append to this file instead of the anchor.")] = None,
    url: Url = None,
) -> None:
    """Print the head of the chain and append it to the anchor, or to a file where the database's owner cannot write."""
    from psflow.store.audit import head
    from psflow.store.seal import append

    with _audited(url) as (store, seal):
        found = head(store)
    if found and (place := file or seal.anchor):
        append(place, found)
    print(f"{found.audit_id} {found.mac}" if found else "the audit is empty")


@contextmanager
def _audited(url: str | None) -> Iterator[tuple[Store, Seal]]:
    """Open the stack's database with the stack's seal, or another with that of the environment."""
    from psflow import config
    from psflow.store.connection import Store
    from psflow.store.seal import KEY, Seal

    seal = Seal.of_environment() if url else local_stack().seal()
    if seal is None:
        raise ConfigurationError(f"{KEY} is not set: give it the password of the connection psflow_audit")
    if url:
        with Store.open(url, config.load().region) as store:
            yield store, seal
    else:
        with open_store() as (store, _):
            yield store, seal


def _print_changes(changes: Any) -> None:
    table = Table("field", "was", "is", box=None, pad_edge=False)
    for change in changes:
        table.add_row(*(plain(str(value)) for value in change))
    console().print(table)


def _utc(when: dt.datetime | None) -> dt.datetime | None:
    return when.replace(tzinfo=dt.UTC) if when else None
