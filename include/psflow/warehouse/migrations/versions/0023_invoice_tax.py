"""Invoice tax."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Run 0023_invoice_tax.sql."""
    run_sql_beside(__file__)
