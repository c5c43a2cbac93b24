"""Finance: legal entities, published metrics, what each check of a gate said, and who reads it."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run 0006_finance.sql."""
    run_sql_beside(__file__)
