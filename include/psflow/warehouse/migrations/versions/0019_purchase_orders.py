"""Purchase orders."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Run 0019_purchase_orders.sql."""
    run_sql_beside(__file__)
