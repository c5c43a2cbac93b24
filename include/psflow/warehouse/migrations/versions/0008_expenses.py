"""Expenses billed at cost: in the ledger of charges beside hours."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Run 0008_expenses.sql."""
    run_sql_beside(__file__)
