"""Activation of won deals: its gates, and the runs that are due."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from psflow_airflow.operators.base import EngagementOperator, PsflowOperator, opened

if TYPE_CHECKING:
    from airflow.sdk import Context

_MOST = 1000  # Airflow maps at most 1024; what is left is due again at the next sync


class ActivationGateOperator(EngagementOperator):
    """Judge all gates of one won deal at once. On pass its contract and project are decided, else it is blocked."""

    def execute(self, context: Context) -> str:
        """Return the project code. Raises GateFailed with every reason; each is an exception with its owner."""
        from psflow.flows.activation import check

        with opened(self.store_conn_id) as (store, config):
            return check(store, config, self.engagement_id, int(self.epoch))


class ActivationRunsOperator(BaseOperator):
    """
    Turn due activations into arguments of a mapped `TriggerDagRunOperator`: one run a deal, `<engagement_id>.<epoch>`.

    A deal that was never run is started, and skipped when its run is there already; one that was blocked and would
    pass now runs again under the same id.

    :param due: what `SalesforcePullOperator` returns; `start` and `restart` list {engagement_id, epoch}. Templated.
    """

    template_fields: Sequence[str] = ("due",)

    def __init__(self, *, due: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.due = due

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Return one dict of arguments a run."""
        runs = [_run(deal, again) for again in (False, True) for deal in self.due["restart" if again else "start"]]
        if len(runs) > _MOST:
            self.log.info("%s activations are due; the first %s start now", len(runs), _MOST)
        return runs[:_MOST]


class CloseLostDealsOperator(PsflowOperator):
    """
    Close, in every system, what was made for deals that are no longer won. One that fails leaves the others to go on.

    :param due: what `SalesforcePullOperator` returns; `lost` lists {engagement_id, epoch}. Templated.
    :param salesforce_conn_id: Airflow connection of the CRM, of type `psflow_salesforce`.
    :param tryton_conn_id: Airflow connection of the ERP, of type `psflow_tryton`.
    :param kantata_conn_id: Airflow connection of the PSA, of type `psflow_kantata`.
    :param float_conn_id: Airflow connection of the planner, of type `psflow_float`.
    """

    template_fields: Sequence[str] = ("due",)

    def __init__(
        self,
        *,
        due: Any,
        salesforce_conn_id: str = "psflow_salesforce",
        tryton_conn_id: str = "psflow_tryton",
        kantata_conn_id: str = "psflow_kantata",
        float_conn_id: str = "psflow_float",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.due = due
        self.salesforce_conn_id = salesforce_conn_id
        self.tryton_conn_id = tryton_conn_id
        self.kantata_conn_id = kantata_conn_id
        self.float_conn_id = float_conn_id

    def execute(self, context: Context) -> int:
        """Return how many records were closed. Raises the first deal's error when the others are done."""
        from psflow.errors import PsflowError
        from psflow.flows.compensation import close_lost

        closed, failed = 0, list[PsflowError]()
        with opened(self.store_conn_id) as (store, config):
            for deal in self.due["lost"]:
                try:
                    closed += close_lost(store, config, self._systems(store, config, deal["engagement_id"]), **deal)
                except PsflowError as error:
                    self.log.warning("%s.%s: %s", deal["engagement_id"], deal["epoch"], error)
                    failed.append(error)
            if failed:
                raise failed[0]
        return closed

    def _systems(self, store: Any, config: Any, engagement_id: str) -> list[Any]:
        from psflow.flows import legal_entity
        from psflow_airflow.hooks.float import FloatHook
        from psflow_airflow.hooks.kantata import KantataHook
        from psflow_airflow.hooks.salesforce import SalesforceHook
        from psflow_airflow.hooks.tryton import TrytonHook

        company = legal_entity.of_engagement(store, config, engagement_id).erp_company
        hooks = (
            SalesforceHook(self.salesforce_conn_id),
            FloatHook(self.float_conn_id),
            KantataHook(self.kantata_conn_id),
            TrytonHook(self.tryton_conn_id, company),
        )
        return [hook.adapter(config, store) for hook in hooks]


def _run(deal: dict[str, Any], again: bool) -> dict[str, Any]:
    return {
        "trigger_run_id": f"{deal['engagement_id']}.{deal['epoch']}",
        "conf": deal,
        "reset_dag_run": again,
        "skip_when_already_exists": not again,
    }
