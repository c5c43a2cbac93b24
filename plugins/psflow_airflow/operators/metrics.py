"""Metrics: gates on what the numbers are made of, and the snapshot that is published."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from psflow.errors import ConfigurationError
from psflow_airflow.operators.base import PsflowOperator, opened

if TYPE_CHECKING:
    from airflow.sdk import Context


class MasterDataGateOperator(PsflowOperator):
    """
    Let the suites of `master_data/` look at customers, people and rate cards; a wrong record becomes an exception.

    Use it after a pull, in a DAG of your own too: `MasterDataGateOperator(task_id="master_data")`.
    """

    def execute(self, context: Context) -> dict[str, int]:
        """Return how many records of each entity are wrong. Raises GateFailed without a verdict to trust."""
        from psflow.flows.master_data import check
        from psflow_airflow.hooks.store import StoreHook

        with opened(self.store_conn_id) as (store, config):
            return check(store, config, StoreHook(self.store_conn_id).gate())


class MetricsPublishOperator(PsflowOperator):
    """
    Freeze the numbers of schema `finance`, let the gates of ledger and metrics look, and publish them.

    :param as_of: the day they are published for, YYYY-MM-DD; empty: the day of the run. Templated.
    """

    template_fields: Sequence[str] = ("as_of",)

    def __init__(self, *, as_of: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.as_of = as_of

    def execute(self, context: Context) -> dict[str, int | None]:
        """Return the snapshot and how many numbers it has. Raises GateFailed when ledger or metrics do not hold."""
        from psflow.flows.metrics import publish
        from psflow_airflow.hooks.store import StoreHook

        with opened(self.store_conn_id) as (store, config):
            return publish(store, config, StoreHook(self.store_conn_id).gate(), self._day(context))

    def _day(self, context: Context) -> dt.date:
        try:
            return dt.date.fromisoformat(self.as_of) if self.as_of else context["dag_run"].run_after.date()
        except ValueError:
            raise ConfigurationError(f"as_of {self.as_of!r} is not YYYY-MM-DD; correct the run's conf") from None
