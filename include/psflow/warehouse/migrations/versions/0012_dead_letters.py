"""What was given up on, kept as it was and as a person corrected it."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Run 0012_dead_letters.sql."""
    run_sql_beside(__file__)
