"""Staffing in a DAG: show a deal's demand in the planner, and give each request a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psflow_airflow.operators.base import EngagementOperator, PsflowOperator, opened

if TYPE_CHECKING:
    from airflow.sdk import Context


class RequestResourcesOperator(EngagementOperator):
    """
    Create the project of an engagement in the planner, with one placeholder a request.

    :param float_conn_id: Airflow connection of the planner, of type `psflow_float`.
    """

    def __init__(self, *, float_conn_id: str = "psflow_float", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.float_conn_id = float_conn_id

    def execute(self, context: Context) -> int:
        """Return how many requests the planner shows. Raises Rejected when it refused the project."""
        from psflow.flows.activation import create_in_planner
        from psflow_airflow.hooks.float import FloatHook

        with opened(self.store_conn_id) as (store, config):
            planner = FloatHook(self.float_conn_id).adapter(config, store)
            return create_in_planner(store, config, planner, self.engagement_id, int(self.epoch))


class StaffRequestsOperator(PsflowOperator):
    """
    Match every open request, and send the assignments to planner and PSA.

    :param float_conn_id: Airflow connection of the planner, of type `psflow_float`.
    :param kantata_conn_id: Airflow connection of the PSA, of type `psflow_kantata`.
    """

    def __init__(
        self, *, float_conn_id: str = "psflow_float", kantata_conn_id: str = "psflow_kantata", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.float_conn_id = float_conn_id
        self.kantata_conn_id = kantata_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        """Return how many requests were assigned now and how many wait for somebody."""
        from psflow.flows.staffing import staff
        from psflow_airflow.hooks.float import FloatHook
        from psflow_airflow.hooks.kantata import KantataHook

        with opened(self.store_conn_id) as (store, config):
            planner = FloatHook(self.float_conn_id).adapter(config, store)
            return staff(store, config, planner, KantataHook(self.kantata_conn_id).adapter(config, store))
