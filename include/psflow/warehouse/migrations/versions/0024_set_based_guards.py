"""Set-based guards."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Run 0024_set_based_guards.sql."""
    run_sql_beside(__file__)
