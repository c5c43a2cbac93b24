"""Rate units."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Run 0020_rate_units.sql."""
    run_sql_beside(__file__)
