"""The whole history of one business id, whatever system gave it: what is known, what was done, what is open."""

from __future__ import annotations

from collections import defaultdict

from rich import markup
from rich.console import Console
from rich.table import Table

from psflow import wording
from psflow.contracts.text import lines
from psflow.errors import ConfigurationError
from psflow.store.connection import Row, Store, sql
from psflow.store.sight import EVERYTHING, Sight
from psflow.systems.registry import registrations


def find(store: Store, identifier: str, sight: Sight = EVERYTHING) -> dict[str, list[str]]:
    """
    Return engagement -> the kinds of id that matched: a deal's, a project's, an hour's, an exception's, a vendor's …

    A number may be several things at once: every kind that matched is named.
    """
    found = defaultdict[str, list[str]](list)
    for row in sight.rows(store, sql("warehouse.trace", "find"), id=identifier.strip()):
        found[row["engagement_id"]].append(row["kind"])
    return dict(found)


def history(store: Store, engagement_id: str) -> list[Row]:
    """
    Return everything that happened to an engagement, oldest first.

    Each row is {at, system, where, kind, what, subject, says, who, was, became, link_kind, link_id}: `where` is the
    system's name, the last two name the record at its vendor.
    """
    rows = store.rows(sql("warehouse.trace", "history"), engagement=engagement_id)
    known = names()
    worded = [row | {"where": known.get(row["system"], row["system"])} | _change(row) for row in rows]
    return [row for row in worded if row["was"] or row["became"] or not row["before"]]


def _change(row: Row) -> dict[str, str]:
    """Return what was there before and what after, of fields that differ when both are known."""
    before, after = row["before"], row["after"]
    if before and after:
        was, became = wording.difference(before, after)
        return {"was": was, "became": became}
    return {"was": wording.values(before or {}), "became": wording.values(after or {})}


def names() -> dict[str, str]:
    """Return system -> the name people know it by; a role stands in for a system that is not known yet."""
    return {"psa": "PSA"} | {each.key: each.name for each in registrations()}


def head(store: Store, engagement_id: str) -> Row:
    """Return the engagement's row of `ops.workflow_state`: stage, state, owner, next step, money."""
    found = store.row("select * from ops.workflow_state where engagement_id = %(id)s", id=engagement_id)
    if found is None:
        raise ConfigurationError(f"engagement {engagement_id!r} is unknown; see core.engagement")
    return found


def show(identifier: str) -> None:
    """Print the history of an id from the local stack's database. Raises ConfigurationError when nobody knows it."""
    from psflow import config
    from psflow.sandbox.stack import Stack

    stack = Stack()
    if not stack.postgres.running:
        raise ConfigurationError("the stack is down; start it with `psflow up`")
    with Store.open(stack.database_url("psflow_app"), config.load(stack.project / "psflow.yaml").region) as store:
        found = find(store, identifier)
        if not found:
            raise ConfigurationError(f"nothing here is called {identifier!r}; try {KNOWN}")
        for engagement_id, kinds in found.items():
            _print(head(store, engagement_id), kinds, history(store, engagement_id))


KNOWN = (
    "an engagement (E-1001), its run (E-1001.1), a deal, a project (P-1001), a time entry, an expense, "
    "a billing batch, an invoice, an ERP number, an effect, an exception (#12) or a vendor's own id"
)


def _print(engagement: Row, kinds: list[str], rows: list[Row]) -> None:
    console = Console(highlight=False)
    console.width = max(console.width, 120)
    console.print(
        f"[bold]{_shown(engagement['engagement_id'])}[/bold] {_shown(engagement['name'])} · "
        f"{_shown(engagement['customer_name'])} · {engagement['stage']}: {engagement['state']} · "
        f"matched as {_shown(', '.join(kinds))}",
        soft_wrap=True,
    )
    table = Table("when (UTC)", "where", "what", "of", "says", "who", box=None)
    for column in table.columns:
        column.overflow = "fold"  # an id that is cut cannot be looked up
    for row in rows:
        cells = (row["where"], row["what"], row["subject"], "\n".join(_says(row)), row["who"] or "")
        table.add_row(f"{row['at']:%Y-%m-%d %H:%M:%S}", *map(_shown, cells))
    console.print(table)


def _shown(text: str) -> str:
    """Return text of others as a console shows it: not read as markup, nor by the terminal."""
    return markup.escape(lines(text))


def _says(row: Row) -> list[str]:
    """Return what a row says, and what was there before and after, a line each."""
    now = "sends " if row["kind"] == "effect" else "now "
    parts = {"": row["says"], "was ": row["was"], now: row["became"]}
    return [f"{label}{text}" for label, text in parts.items() if text]
