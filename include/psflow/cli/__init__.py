"""What can a person do at a terminal? One module a topic; each imports what it needs when it runs."""

from psflow.cli import stack, business, billing, terms, observe, period, intercompany, accounts, proof  # noqa: I001 - the order of `psflow --help`
from psflow.cli.base import app

__all__ = ["accounts", "app", "billing", "business", "intercompany", "observe", "period", "proof", "stack", "terms"]
