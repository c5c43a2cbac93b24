"""What a contract bills: its type, terms, caps, orders and items."""

from psflow.warehouse.migrate import run_sql_beside

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Run 0015_contract_terms.sql."""
    run_sql_beside(__file__)
