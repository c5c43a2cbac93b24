"""What one vendor account can take: its rate budget and its circuit breaker."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run 0010_accounts.sql."""
    run_sql_beside(__file__)
