"""What may leave needs a release when policy says so; who was told what about an exception."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run 0007_modes_and_alerts.sql."""
    run_sql_beside(__file__)
