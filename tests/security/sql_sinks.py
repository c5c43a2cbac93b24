"""Names and notes into Postgres, as the syncs and the loads write them; read back they are what they were."""

from __future__ import annotations

import contextlib
import datetime as dt

import psycopg

from psflow.store.connection import Store, sql
from tests.database import REGION, as_role

_AT = dt.datetime(2026, 10, 31, tzinfo=dt.UTC)
_WORKED_ON = "2026-10-05"


def by_parameter(url: str, strings: list[str]) -> int:
    """Write customers as the CRM's sync does; return how many names are not what they were."""
    rows = [{"customer_id": str(n), "name": text, "street": text, "city": None, "country": None, "vat_id": None}
            for n, text in enumerate(strings)]  # fmt: skip
    with Store.open(as_role(url, "psflow_app"), REGION) as store:
        with store.transaction("inject"):
            store.run_many(sql("warehouse.sync", "customer"), rows)
        kept = {row["customer_id"]: row["name"] for row in store.rows("select customer_id, name from core.customer")}
    return sum(kept.get(str(n)) != text for n, text in enumerate(strings)) + abs(len(kept) - len(strings))


def by_copy(url: str, strings: list[str]) -> int:
    """Stream hours in as the load does; return how many notes are not what they were."""
    folder = "warehouse.time_expense.time_entry"
    with Store.open(as_role(url, "psflow_app"), REGION) as store, store.transaction("inject"):
        store.run(sql(folder, "staging"))
        with store.copy(sql(folder, "copy")) as stream:
            for n, text in enumerate(strings):
                stream.write_row((str(n), text, text, _WORKED_ON, 60, text, True, True, text, _AT, text, text, text))
        kept = {r["time_entry_id"]: r["notes"] for r in store.rows("select time_entry_id, notes from entry_staging")}
    return sum(kept.get(str(n)) != text for n, text in enumerate(strings)) + abs(len(kept) - len(strings))


def naive_sql(url: str) -> bool:
    """Whether a statement built from text is seen to do something else: its customer is not there."""
    with psycopg.connect(url) as connection:
        with contextlib.suppress(psycopg.Error):
            connection.execute("create temporary table naive (name text)")
            connection.execute("insert into naive values ('" + "x'), ('y" + "')")  # type: ignore[arg-type]
        return connection.execute("select name from naive").fetchall() != [("x'), ('y",)]


def naive_copy(url: str) -> bool:
    """Whether a line that nobody quoted is seen to become two."""
    with psycopg.connect(url) as connection:
        connection.execute("create temporary table naive (name text)")
        with connection.cursor() as cursor, cursor.copy("copy naive from stdin") as stream:
            stream.write("a\nb\n")
        return connection.execute("select name from naive").fetchall() != [("a\nb",)]
