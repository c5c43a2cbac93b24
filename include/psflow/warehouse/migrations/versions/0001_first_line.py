"""The first line: one deal from closed-won to a tied-out invoice."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run 0001_first_line.sql."""
    run_sql_beside(__file__)
