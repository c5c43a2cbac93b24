"""Activation of won deals: its gates, and the runs that are due."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from psflow_airflow.operators.base import EngagementOperator, opened

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


def _run(deal: dict[str, Any], again: bool) -> dict[str, Any]:
    return {
        "trigger_run_id": f"{deal['engagement_id']}.{deal['epoch']}",
        "conf": deal,
        "reset_dag_run": again,
        "skip_when_already_exists": not again,
    }
