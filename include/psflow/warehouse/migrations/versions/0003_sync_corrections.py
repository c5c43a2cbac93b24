"""Reading that survives what vendors send."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run 0003_sync_corrections.sql."""
    run_sql_beside(__file__)
