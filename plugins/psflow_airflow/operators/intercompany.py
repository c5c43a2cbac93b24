"""What our companies owe each other for lent hours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psflow_airflow.operators.base import PsflowOperator, opened

if TYPE_CHECKING:
    from airflow.sdk import Context


class TransferOperator(PsflowOperator):
    """Write what lent hours owe, in the books of both companies; what lacks a price waits as an exception."""

    def execute(self, context: Context) -> dict[str, int]:
        """Return how many hours were transferred, how many transfers taken back, and how many hours wait."""
        from psflow.flows.intercompany import transfer

        with opened(self.store_conn_id) as (store, config):
            return transfer(store, config)
