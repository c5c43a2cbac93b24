"""Cost on the charge, rate order, taxes of a document."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Run 0026_frozen_cost.sql."""
    run_sql_beside(__file__)
