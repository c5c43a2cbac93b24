"""The whole firm: people, demand, staffing, expenses, capacity, exchange rates."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run 0005_whole_firm.sql."""
    run_sql_beside(__file__)
