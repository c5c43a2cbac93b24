"""Salesforce in a DAG: pull what changed; write engagement and project back on the deal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psflow_airflow.operators.base import EngagementOperator, PsflowOperator, RecordLink, opened

if TYPE_CHECKING:
    from airflow.sdk import Context


class SalesforcePullOperator(PsflowOperator):
    """
    Pull customers and opportunities changed since the last run, and open an engagement for each won deal.

    Returns counts and, under `start` and `restart`, the activations that are due; `ActivationRunsOperator` takes them.

    :param salesforce_conn_id: Airflow connection of type `psflow_salesforce`.
    """

    def __init__(self, *, salesforce_conn_id: str = "psflow_salesforce", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.salesforce_conn_id = salesforce_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Return counts and the activations that are due."""
        from psflow.flows.sync import pull_crm
        from psflow_airflow.hooks.salesforce import SalesforceHook

        with opened(self.store_conn_id) as (store, config):
            return pull_crm(store, config, SalesforceHook(self.salesforce_conn_id).adapter(config, store))


class SalesforceUpdateOpportunityOperator(EngagementOperator):
    """
    Write engagement and project code on the opportunity and make the deal active: the last step of an activation.

    :param salesforce_conn_id: Airflow connection of type `psflow_salesforce`.
    """

    operator_extra_links = (RecordLink(),)

    def __init__(self, *, salesforce_conn_id: str = "psflow_salesforce", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.salesforce_conn_id = salesforce_conn_id

    def execute(self, context: Context) -> str:
        """Return the opportunity's id. Raises Rejected when Salesforce refused."""
        from psflow.flows.activation import finish
        from psflow_airflow.hooks.salesforce import SalesforceHook

        with opened(self.store_conn_id) as (store, config):
            crm = SalesforceHook(self.salesforce_conn_id).adapter(config, store)
            opportunity_id = finish(store, config, crm, self.engagement_id, int(self.epoch))
        self.record_url = crm.url("opportunity", opportunity_id)
        return opportunity_id
