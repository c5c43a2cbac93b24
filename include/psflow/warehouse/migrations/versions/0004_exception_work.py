"""Exceptions that people work on: due, assigned, commented, waived."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run 0004_exception_work.sql."""
    run_sql_beside(__file__)
