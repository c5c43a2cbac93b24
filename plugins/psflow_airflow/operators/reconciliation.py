"""Reconciliation: the proof that hours, charges, invoices and ledger agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psflow.errors import NeedsReview
from psflow_airflow.operators.base import PsflowOperator, opened

if TYPE_CHECKING:
    from airflow.sdk import Context


class TieOutOperator(PsflowOperator):
    """Rebuild `finance.invoice_tie_out`, record by record; a break is an exception for finance and a red run."""

    def execute(self, context: Context) -> dict[str, int]:
        """Return how many comparisons tie. Raises NeedsReview, once all rows are written, when any does not."""
        from psflow.flows.reconciliation import tie_out

        with opened(self.store_conn_id) as (store, config):
            counts = tie_out(store, config)
        if counts["breaks"]:
            raise NeedsReview(
                f"{counts['breaks']} of {counts['comparisons']} comparisons do not tie; "
                "see finance.invoice_tie_out where status is not 'tied'"
            )
        return counts
