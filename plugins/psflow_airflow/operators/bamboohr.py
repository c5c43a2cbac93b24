"""BambooHR in a DAG: pull who is employed, where, and when they are away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psflow_airflow.operators.base import PsflowOperator, opened

if TYPE_CHECKING:
    from airflow.sdk import Context


class BambooHRPullOperator(PsflowOperator):
    """
    Pull all people, those who left included, and their leave.

    In a DAG of your own::

        from airflow.sdk import DAG
        from psflow_airflow.operators.bamboohr import BambooHRPullOperator
        from psflow_airflow.recovery import RETRIES

        with DAG("people", schedule="@hourly", default_args=RETRIES) as dag:
            BambooHRPullOperator(task_id="pull", bamboohr_conn_id="psflow_bamboohr")

    :param bamboohr_conn_id: Airflow connection of type `psflow_bamboohr`.
    """

    def __init__(self, *, bamboohr_conn_id: str = "psflow_bamboohr", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bamboohr_conn_id = bamboohr_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Return counts. Raises ConfigurationError when the API key is not accepted."""
        from psflow.flows.sync_people import pull_hr
        from psflow_airflow.hooks.bamboohr import BambooHRHook

        with opened(self.store_conn_id) as (store, config):
            return pull_hr(store, config, BambooHRHook(self.bamboohr_conn_id).adapter(config, store))
