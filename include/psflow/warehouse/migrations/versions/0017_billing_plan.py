"""The plan of a billing batch, as it was shown and signed."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Run 0017_billing_plan.sql."""
    run_sql_beside(__file__)
