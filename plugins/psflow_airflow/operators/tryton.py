"""Tryton in a DAG: customer and project shell; an approved batch drafted, read back and posted; documents read."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from psflow_airflow.operators.base import BatchOperator, EngagementOperator, PsflowOperator, RecordLink, opened

if TYPE_CHECKING:
    from airflow.sdk import Context

    from psflow.config import Config
    from psflow.store.connection import Store
    from psflow.systems.ports import Erp


class TrytonCreateProjectOperator(EngagementOperator):
    """
    Create customer and project shell of an engagement, unless they are there.

    :param tryton_conn_id: Airflow connection of type `psflow_tryton`.
    """

    operator_extra_links = (RecordLink(),)

    def __init__(self, *, tryton_conn_id: str = "psflow_tryton", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tryton_conn_id = tryton_conn_id

    def execute(self, context: Context) -> str:
        """Return the project's id in Tryton. Raises Rejected when Tryton refused."""
        from psflow.flows import legal_entity
        from psflow.flows.activation import create_in_erp
        from psflow_airflow.hooks.tryton import TrytonHook

        with opened(self.store_conn_id) as (store, config):
            company = legal_entity.of_engagement(store, config, self.engagement_id).erp_company
            erp = TrytonHook(self.tryton_conn_id, company).adapter(config, store)
            project = create_in_erp(store, config, erp, self.engagement_id, int(self.epoch))
        self.record_url = erp.url("project", project)
        return project


class _PostingOperator(BatchOperator):
    """One step from a released batch to posted invoices. Safe to clear: every document carries our reference."""

    def __init__(self, *, tryton_conn_id: str = "psflow_tryton", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tryton_conn_id = tryton_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        """Return the step's counts."""
        from psflow.flows import legal_entity
        from psflow_airflow.hooks.tryton import TrytonHook

        with opened(self.store_conn_id) as (store, config):
            company = legal_entity.of_batch(store, config, self.batch_id).erp_company
            return self.step(store, config, TrytonHook(self.tryton_conn_id, company).adapter(config, store))

    @abstractmethod
    def step(self, store: Store, config: Config, erp: Erp) -> dict[str, int]: ...


class TrytonDraftInvoicesOperator(_PostingOperator):
    """
    Draft the invoices of a released batch.

    :param tryton_conn_id: Airflow connection of type `psflow_tryton`.
    """

    def step(self, store: Store, config: Config, erp: Erp) -> dict[str, int]:
        """Return how many are drafted and how many were refused."""
        from psflow.flows.billing_posting import draft

        return draft(store, config, erp, self.batch_id)


class TrytonReadBackOperator(_PostingOperator):
    """
    Compare each draft with what was approved, to the cent; only those that agree are posted later.

    :param tryton_conn_id: Airflow connection of type `psflow_tryton`.
    """

    def step(self, store: Store, config: Config, erp: Erp) -> dict[str, int]:
        """Return how many agree, differ, and were strays (cancelled)."""
        from psflow.flows.billing_posting import read_back

        return read_back(store, config, erp, self.batch_id)


class TrytonPostInvoicesOperator(_PostingOperator):
    """
    Post the drafts that were read back.

    :param tryton_conn_id: Airflow connection of type `psflow_tryton`.
    """

    def step(self, store: Store, config: Config, erp: Erp) -> dict[str, int]:
        """Return how many are posted. Raises Rejected unless that is the whole batch."""
        from psflow.flows.billing_posting import post

        return post(store, config, erp, self.batch_id)


class TrytonPostTimeOperator(PsflowOperator):
    """
    Send approved hours of contracts that Tryton bills itself (`number_owner` in psflow.yaml), and corrections of them.

    :param tryton_conn_id: Airflow connection of type `psflow_tryton`.
    """

    def __init__(self, *, tryton_conn_id: str = "psflow_tryton", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tryton_conn_id = tryton_conn_id

    def execute(self, context: Context) -> dict[str, dict[str, int]]:
        """Return how many were sent and refused, by legal entity; skipped when Tryton bills no contract itself."""
        from airflow.sdk.exceptions import AirflowSkipException

        from psflow.flows.erp_time import bills_itself, post_time
        from psflow_airflow.hooks.tryton import TrytonHook

        with opened(self.store_conn_id) as (store, config):
            theirs = [each for each in config.legal_entities if bills_itself(store, config, each.legal_entity_id)]
            if not theirs:
                raise AirflowSkipException(
                    "no contract's invoices are Tryton's to make; see number_owner in psflow.yaml"
                )
            return {
                entity.legal_entity_id: post_time(
                    store, config, TrytonHook(self.tryton_conn_id, entity.erp_company).adapter(config, store), entity
                )
                for entity in theirs
            }


class TrytonReadInvoicesOperator(PsflowOperator):
    """
    Read every document that carries one of our references, with its lines and its ledger move.

    :param tryton_conn_id: Airflow connection of type `psflow_tryton`.
    """

    def __init__(self, *, tryton_conn_id: str = "psflow_tryton", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tryton_conn_id = tryton_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        """Return how many documents there are, of all legal entities."""
        from psflow.flows.reconciliation import read_erp
        from psflow_airflow.hooks.tryton import TrytonHook

        with opened(self.store_conn_id) as (store, config):
            read = [
                read_erp(
                    store,
                    TrytonHook(self.tryton_conn_id, each.erp_company).adapter(config, store),
                    each.legal_entity_id,
                )
                for each in config.legal_entities
            ]
        return {"documents": sum(each["documents"] for each in read)}


class TrytonPullRatesOperator(PsflowOperator):
    """
    Read the exchange rates of every legal entity's books.

    :param tryton_conn_id: Airflow connection of type `psflow_tryton`.
    """

    def __init__(self, *, tryton_conn_id: str = "psflow_tryton", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tryton_conn_id = tryton_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        """Return how many currencies were read, by legal entity."""
        from psflow.flows.sync import pull_erp
        from psflow_airflow.hooks.tryton import TrytonHook

        with opened(self.store_conn_id) as (store, config):
            return {
                entity.legal_entity_id: pull_erp(
                    store, config, TrytonHook(self.tryton_conn_id, entity.erp_company).adapter(config, store)
                )["fx_rates"]
                for entity in config.legal_entities
            }
