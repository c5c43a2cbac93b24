"""Split billing: several customers pay for one engagement."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Run 0022_payers.sql."""
    run_sql_beside(__file__)
