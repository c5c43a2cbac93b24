"""The audit as a keyed chain that any edit breaks."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Run 0013_audit_chain.sql."""
    run_sql_beside(__file__)
