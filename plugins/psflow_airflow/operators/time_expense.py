"""Time and expense: the gates between loaded and billable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psflow_airflow.operators.base import PsflowOperator, opened

if TYPE_CHECKING:
    from airflow.sdk import Context


class TimeGateOperator(PsflowOperator):
    """Split every load not judged yet by the suite `time_expense/time_entry`: failing rows wait, the rest goes on."""

    def execute(self, context: Context) -> dict[str, int]:
        """Return how many passed now and how many are held in all. Raises GateFailed without a verdict to trust."""
        from psflow.flows.time_expense import check
        from psflow_airflow.hooks.store import StoreHook

        with opened(self.store_conn_id) as (store, config):
            return check(store, config, StoreHook(self.store_conn_id).gate())


class ExpenseGateOperator(PsflowOperator):
    """Split every load of expenses by the suite `time_expense/expense_entry`, as `TimeGateOperator` does with hours."""

    def execute(self, context: Context) -> dict[str, int]:
        """Return how many passed now and how many are held in all. Raises GateFailed without a verdict to trust."""
        from psflow.flows.time_expense import check
        from psflow_airflow.hooks.store import StoreHook

        with opened(self.store_conn_id) as (store, config):
            return check(store, config, StoreHook(self.store_conn_id).gate(), "expense_entry")
