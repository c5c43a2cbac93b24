"""The whole history of one business id, whatever system gave it: what is known, what was done, what is open."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from psflow.errors import ConfigurationError
from psflow.store.connection import sql


def engagements(db: psycopg.Connection[dict[str, Any]], identifier: str) -> list[str]:
    """Return the engagements an id belongs to, be it a deal's, a project's, an hour's, an invoice's or a vendor's."""
    found = db.execute(sql("warehouse.trace", "find"), {"id": identifier}).fetchall()
    return [row["engagement_id"] for row in found]


def history(db: psycopg.Connection[dict[str, Any]], engagement_id: str) -> list[dict[str, Any]]:
    """Return {at, what, subject, says} of everything that happened to an engagement, oldest first."""
    return db.execute(sql("warehouse.trace", "history"), {"engagement": engagement_id}).fetchall()


def show(identifier: str) -> None:
    """Print the history of an id from the local stack's database. Raises ConfigurationError when nobody knows it."""
    from psflow.sandbox.stack import Stack

    stack = Stack()
    if not stack.postgres.running:
        raise ConfigurationError("the stack is down; start it with `psflow up`")
    with psycopg.connect(stack.database_url("psflow_app"), row_factory=dict_row) as db:
        found = engagements(db, identifier)
        if not found:
            raise ConfigurationError(
                f"nothing here is called {identifier!r}; try an engagement (E-1001), a project (P-1001), a deal, "
                "a time entry, an invoice, an effect or a vendor's own id"
            )
        for engagement_id in found:
            _print(engagement_id, history(db, engagement_id))


def _print(engagement_id: str, rows: list[dict[str, Any]]) -> None:
    table = Table("when (UTC)", "what", "of", "says", title=engagement_id, title_justify="left", box=None)
    for row in rows:
        table.add_row(f"{row['at']:%Y-%m-%d %H:%M:%S}", row["what"], escape(row["subject"]), escape(row["says"] or ""))
    console = Console(highlight=False)
    console.width = max(console.width, 120)
    console.print(table)
