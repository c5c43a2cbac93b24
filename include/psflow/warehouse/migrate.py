"""Bring a business database to this version. Alembic keeps the order; each step is the plain SQL file beside it."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy
from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

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
    # the driver's own cursor: `%` and `:` in the file are the file's, not parameters
    op.get_bind().connection.driver_connection.execute(Path(step).with_suffix(".sql").read_text(encoding="utf-8"))  # type: ignore[union-attr]


def _engine(url: str) -> sqlalchemy.Engine:
    scheme, _, rest = url.partition("://")
    return sqlalchemy.create_engine(f"{scheme.partition('+')[0]}+psycopg://{rest}", poolclass=sqlalchemy.NullPool)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE))
    return config


def _revision(connection: sqlalchemy.Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": "schema_version"}).get_current_revision()
