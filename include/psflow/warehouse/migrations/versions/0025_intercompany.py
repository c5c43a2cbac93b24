"""Intercompany."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Run 0025_intercompany.sql."""
    run_sql_beside(__file__)
