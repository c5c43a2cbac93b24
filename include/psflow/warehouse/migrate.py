"""
Bring a business database to this version: every step once, then finance's views as their files say them now.

Alembic keeps the order of the steps; each is the plain SQL file beside it. A view whose columns go or change their type
breaks its readers: that takes a step which drops it. No step may read a view of `warehouse/metrics`.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy
from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from psflow.warehouse import definitions

_HERE = Path(__file__).parent / "migrations"


def upgrade(url: str) -> str:
    """
    Migrate the database at `url` (its owner, `postgresql://…`) and return the revision it is at.

    Two callers at once are serialised by an advisory lock. A failed step leaves the database as it was.
    """
    with _engine(url).begin() as connection:
        connection.exec_driver_sql("select pg_advisory_xact_lock(hashtext('psflow.migrate'))")
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        for view in definitions.views():
            _run(connection, view.text)
        return _revision(connection) or ""


def pending(url: str) -> list[str]:
    """Return the revisions this database lacks, oldest first."""
    with _engine(url).connect() as connection:
        at = _revision(connection)
    return [
        s.revision
        for s in reversed(list(ScriptDirectory.from_config(_config()).iterate_revisions("head", at or "base")))
    ]


def run_sql_beside(step: str) -> None:
    """Run the `.sql` file of a migration step. Called by the step itself."""
    _run(op.get_bind(), Path(step).with_suffix(".sql").read_text(encoding="utf-8"))


def _run(connection: sqlalchemy.Connection, text: str) -> None:
    # the driver's own cursor: `%` and `:` in the file are the file's, not parameters
    connection.connection.driver_connection.execute(text)  # type: ignore[union-attr]


def _engine(url: str) -> sqlalchemy.Engine:
    scheme, _, rest = url.partition("://")
    return sqlalchemy.create_engine(f"{scheme.partition('+')[0]}+psycopg://{rest}", poolclass=sqlalchemy.NullPool)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE))
    return config


def _revision(connection: sqlalchemy.Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": "schema_version"}).get_current_revision()
