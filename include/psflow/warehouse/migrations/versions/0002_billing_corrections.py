"""Billing that survives what a month-end brings."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run 0002_billing_corrections.sql."""
    run_sql_beside(__file__)
