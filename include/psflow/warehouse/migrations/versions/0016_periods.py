"""Periods that close, and the proof that is signed with them."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Run 0016_periods.sql."""
    run_sql_beside(__file__)
