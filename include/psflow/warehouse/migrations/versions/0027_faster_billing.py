"""Faster billing."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Run 0027_faster_billing.sql."""
    run_sql_beside(__file__)
