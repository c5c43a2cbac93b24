"""Who may what: roles of the database, and duties kept apart by person."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Run 0014_duties.sql."""
    run_sql_beside(__file__)
