"""Kantata in a DAG: pull people and rate cards, load time and expenses, create the delivery project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psflow_airflow.operators.base import EngagementOperator, PsflowOperator, RecordLink, opened

if TYPE_CHECKING:
    from airflow.sdk import Context


class KantataPullOperator(PsflowOperator):
    """
    Pull all people and rate cards.

    :param kantata_conn_id: Airflow connection of type `psflow_kantata`.
    """

    def __init__(self, *, kantata_conn_id: str = "psflow_kantata", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kantata_conn_id = kantata_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Return counts. Raises NeedsReview when prices cannot be read; none is taken then."""
        from psflow.flows.sync import pull_psa
        from psflow_airflow.hooks.kantata import KantataHook

        with opened(self.store_conn_id) as (store, config):
            return pull_psa(store, config, KantataHook(self.kantata_conn_id).adapter(config, store))


class KantataLoadTimeOperator(PsflowOperator):
    """
    Load the time entries changed since the last load; a gate judges them before anything is billed.

    :param kantata_conn_id: Airflow connection of type `psflow_kantata`.
    """

    def __init__(self, *, kantata_conn_id: str = "psflow_kantata", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kantata_conn_id = kantata_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        """Return how many were read, changed and out of shape."""
        from psflow.flows.time_expense import load
        from psflow_airflow.hooks.kantata import KantataHook

        with opened(self.store_conn_id) as (store, config):
            return load(store, config, KantataHook(self.kantata_conn_id).adapter(config, store))


class KantataLoadExpensesOperator(PsflowOperator):
    """
    Load the expenses that are new, changed or deleted; a gate judges them before anything is billed.

    :param kantata_conn_id: Airflow connection of type `psflow_kantata`.
    """

    def __init__(self, *, kantata_conn_id: str = "psflow_kantata", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kantata_conn_id = kantata_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        """Return how many were read, changed, out of shape and gone."""
        from psflow.flows.time_expense import load_expenses
        from psflow_airflow.hooks.kantata import KantataHook

        with opened(self.store_conn_id) as (store, config):
            return load_expenses(store, config, KantataHook(self.kantata_conn_id).adapter(config, store))


class KantataCreateProjectOperator(EngagementOperator):
    """
    Create the delivery project of an engagement; refused for good, the deal says so and the ERP's shell is closed.

    :param kantata_conn_id: Airflow connection of type `psflow_kantata`.
    :param tryton_conn_id: Airflow connection of the ERP that holds the shell, of type `psflow_tryton`.
    :param salesforce_conn_id: Airflow connection of the CRM that holds the deal, of type `psflow_salesforce`.
    """

    operator_extra_links = (RecordLink(),)

    def __init__(
        self, *, kantata_conn_id: str = "psflow_kantata", tryton_conn_id: str = "psflow_tryton",
        salesforce_conn_id: str = "psflow_salesforce", **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.kantata_conn_id = kantata_conn_id
        self.tryton_conn_id = tryton_conn_id
        self.salesforce_conn_id = salesforce_conn_id

    def execute(self, context: Context) -> str:
        """Return the project's id in Kantata. Raises Rejected after the compensation."""
        from psflow.flows import legal_entity
        from psflow.flows.activation import create_in_psa
        from psflow_airflow.hooks.kantata import KantataHook
        from psflow_airflow.hooks.salesforce import SalesforceHook
        from psflow_airflow.hooks.tryton import TrytonHook

        with opened(self.store_conn_id) as (store, config):
            psa = KantataHook(self.kantata_conn_id).adapter(config, store)
            company = legal_entity.of_engagement(store, config, self.engagement_id).erp_company
            erp = TrytonHook(self.tryton_conn_id, company).adapter(config, store)
            crm = SalesforceHook(self.salesforce_conn_id).adapter(config, store)
            project = create_in_psa(store, config, psa, erp, crm, self.engagement_id, int(self.epoch))
        self.record_url = psa.url("project", project)
        return project
