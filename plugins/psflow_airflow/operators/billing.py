"""Billing of one legal entity and period: freeze, gate, release. Who decides in between is in `billing_decision`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from psflow.errors import ConfigurationError
from psflow_airflow.operators.base import BatchOperator, PsflowOperator, opened

if TYPE_CHECKING:
    from airflow.sdk import Context

    from psflow.contracts import Period


class BillingFreezeOperator(PsflowOperator):
    """
    Freeze what should be billed and was not, as a new batch; nothing to bill skips what comes after.

    :param legal_entity_id: whose invoices, an id of psflow.yaml. Templated.
    :param period: up to the end of which month, YYYY-MM; empty: the month before the run. Templated.
    :param invoiced_on: date of the invoices, YYYY-MM-DD; empty: the last day of the period. Templated.
    """

    template_fields: Sequence[str] = ("legal_entity_id", "period", "invoiced_on")

    def __init__(self, *, legal_entity_id: str, period: str = "", invoiced_on: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.legal_entity_id = legal_entity_id
        self.period = period
        self.invoiced_on = invoiced_on

    def execute(self, context: Context) -> str:
        """Return the batch's id."""
        from psflow.flows.billing import freeze

        period = self._period(context)
        day = _day(self.invoiced_on) if self.invoiced_on else period.end
        with opened(self.store_conn_id) as (store, config):
            batch_id = freeze(store, config, self.legal_entity_id, period, day)
        if batch_id is None:
            raise AirflowSkipException(f"nothing to bill for {self.legal_entity_id} up to {period.end}")
        return batch_id

    def _period(self, context: Context) -> Period:
        from psflow.contracts import Period

        last_month = context["dag_run"].run_after.date().replace(day=1) - dt.timedelta(days=1)
        try:
            return Period(name=self.period or f"{last_month:%Y-%m}")
        except ValueError:
            raise ConfigurationError(f"period {self.period!r} is not YYYY-MM; correct the run's conf") from None


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"invoiced_on {text!r} is not YYYY-MM-DD; correct the run's conf") from None


class BillingGateOperator(BatchOperator):
    """
    Let the suite `billing/batch` split a frozen batch: entries that fail are held, the rest goes on.

    Each value is an XCom of its own; `content_hash` names what is decided on from here.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(multiple_outputs=True, **kwargs)

    def execute(self, context: Context) -> dict[str, str | int]:
        """Return content hash, counts and totals. Raises GateFailed without a verdict to trust; the batch ends then."""
        from psflow.flows.billing import check
        from psflow_airflow.hooks.store import StoreHook

        with opened(self.store_conn_id) as (store, config):
            return check(store, config, StoreHook(self.store_conn_id).gate(), self.batch_id)


class BillingReleaseOperator(BatchOperator):
    """
    Turn an approved batch into invoices, charges and the effects that draft them, in one transaction.

    :param tryton_conn_id: Airflow connection of the ERP that will hold the invoices, of type `psflow_tryton`.
    """

    def __init__(self, *, tryton_conn_id: str = "psflow_tryton", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tryton_conn_id = tryton_conn_id

    def execute(self, context: Context) -> int:
        """Return the number of invoices. Raises GateFailed without verdict and approvals of this very content."""
        from psflow.flows import legal_entity
        from psflow.flows.billing_posting import release
        from psflow_airflow.hooks.tryton import TrytonHook

        with opened(self.store_conn_id) as (store, config):
            company = legal_entity.of_batch(store, config, self.batch_id).erp_company
            return release(
                store, config, TrytonHook(self.tryton_conn_id, company).adapter(config, store), self.batch_id
            )
