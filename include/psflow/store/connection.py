"""
One connection, one transaction: the only place that commits (a test looks for others).

Nothing is kept unless a `transaction` block ends well. Times come from the database's clock.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row

from psflow import crash
from psflow.errors import ConfigurationError, TransientError
from psflow.store import audit
from psflow.store.seal import Entry, Seal

Row = dict[str, Any]


@cache
def sql(package: str, name: str) -> LiteralString:
    """Return the text of a `.sql` file of this package, e.g. `sql("warehouse.billing", "candidates")`."""
    return files(f"psflow.{package}").joinpath(f"{name}.sql").read_text(encoding="utf-8")


class Store:
    """
    An open business database. Statements take named parameters (`%(name)s`) and nothing else.

    `seal` is what its audit is written with; without one, that of the environment.
    """

    def __init__(self, connection: psycopg.Connection[DictRow], seal: Seal | None = None, url: str = "") -> None:
        self._connection = connection
        self._url = url
        self._seal = seal or Seal.of_environment()
        self._entries = list[Entry]()
        self._beside: Store | None = None

    @classmethod
    def open(cls, url: str, region: str, seal: Seal | None = None) -> Store:
        """Connect and check the region. Raises TransientError when unreachable, ConfigurationError when foreign."""
        store = cls(_connection(url), seal, url)
        store.claim_region(region)
        return store

    def claim_region(self, region: str) -> None:
        """Make this database the region's at first use. Raises ConfigurationError when it is another region's."""
        with self.transaction("store.region"):
            self.run("insert into ops.deployment (region) values (%(region)s) on conflict do nothing", region=region)
            found = self.value("select region from ops.deployment")
        if found != region:
            raise ConfigurationError(
                f"this database serves region {found}, psflow.yaml says {region}: wrong connection"
            )

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop what was not committed and disconnect."""
        if self._beside:
            self._beside.close()
        self._connection.close()

    @property
    def beside(self) -> Store:
        """
        A second connection, for what must stay whatever becomes of this one's transaction; it closes with this.

        A new one when Postgres ended the last: whoever was frozen finds its session gone, and goes on.
        """
        if self._beside is None or self._beside._connection.closed:
            self._beside = Store(_connection(self._url), self._seal, self._url)
        return self._beside

    @contextmanager
    def transaction(self, name: str) -> Iterator[None]:
        """Keep what the block did, all or nothing, its audit sealed last. `name` names its two crash points."""
        try:
            yield
            head = audit.seal(self._connection, self._seal, self._entries)
            crash.point(f"{name}:before-commit")
        except BaseException:
            self._connection.rollback()
            raise
        finally:
            self._entries.clear()
        self._connection.commit()
        crash.point(f"{name}:after-commit")
        if head and self._seal:
            self._seal.keep(head)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo only this block when it fails, inside a transaction."""
        noted = len(self._entries)
        try:
            with self._connection.transaction():
                yield
        except BaseException:
            del self._entries[noted:]
            raise

    def note(self, entry: Entry) -> None:
        """Keep an audit entry with the transaction; `store.audit.write` calls it."""
        self._entries.append(entry)

    def rows(self, statement: LiteralString, /, **parameters: Any) -> list[Row]:
        """Return all rows as dicts."""
        return self._connection.execute(statement, parameters).fetchall()

    def row(self, statement: LiteralString, /, **parameters: Any) -> Row | None:
        """Return the first row, or None."""
        return self._connection.execute(statement, parameters).fetchone()

    def value(self, statement: LiteralString, /, **parameters: Any) -> Any:
        """Return the first column of the first row, or None."""
        found = self.row(statement, **parameters)
        return next(iter(found.values())) if found else None

    def run(self, statement: LiteralString, /, **parameters: Any) -> int:
        """Run a statement and return how many rows it touched."""
        return self._connection.execute(statement, parameters).rowcount

    def run_many(self, statement: LiteralString, rows: Sequence[Mapping[str, Any]]) -> int:
        """Run a statement once a row, pipelined, and return how many rows were touched."""
        if not rows:
            return 0
        with self._connection.cursor() as cursor:
            cursor.executemany(statement, rows)
            return cursor.rowcount

    @contextmanager
    def copy(self, statement: LiteralString) -> Iterator[psycopg.Copy]:
        """Stream rows in through `COPY … FROM STDIN`."""
        with self._connection.cursor() as cursor, cursor.copy(statement) as stream:
            yield stream


def _connection(url: str) -> psycopg.Connection[DictRow]:
    """Connect without Postgres' own compiler, which takes longer than our statements, and with room for staging."""
    try:
        given = conninfo_to_dict(url).get("options") or os.environ.get("PGOPTIONS") or ""
        options = f"{given} -c jit=off -c temp_buffers=64MB -c work_mem=64MB".strip()
        return psycopg.connect(url, row_factory=dict_row, application_name="psflow", options=options)
    except psycopg.OperationalError as error:
        raise TransientError(f"the business database does not answer: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
