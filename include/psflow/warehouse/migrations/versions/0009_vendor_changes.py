"""What vendors' answers are made of, so that a change of theirs is noticed before it hurts."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Run 0009_vendor_changes.sql."""
    run_sql_beside(__file__)
