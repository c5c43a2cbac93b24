"""Statement guards."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Run 0021_statement_guards.sql."""
    run_sql_beside(__file__)
