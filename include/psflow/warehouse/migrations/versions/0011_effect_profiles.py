"""Effects by what their vendor can promise: lifetimes, jobs, epochs."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Run 0011_effect_profiles.sql."""
    run_sql_beside(__file__)
