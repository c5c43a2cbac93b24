"""Who owns the number: bills of other systems, priced again."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Run 0018_number_owner.sql."""
    run_sql_beside(__file__)
