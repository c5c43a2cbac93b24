"""Close a month of a legal entity: read the source once more, compute the controls. Who signs is in `period_sign`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from psflow.errors import ConfigurationError, NeedsReview
from psflow_airflow.operators.base import PsflowOperator, opened

if TYPE_CHECKING:
    from airflow.sdk import Context

    from psflow.contracts import Period


def month(text: str, context: Context) -> Period:
    """Return the period of that name, the month before the run when it is empty."""
    from psflow.contracts import Period

    last_month = context["dag_run"].run_after.date().replace(day=1) - dt.timedelta(days=1)
    try:
        return Period(name=text or f"{last_month:%Y-%m}")
    except ValueError:
        raise ConfigurationError(f"period {text!r} is not YYYY-MM; correct the run's conf") from None


class PeriodSourceOperator(PsflowOperator):
    """
    Read what the PSA has of a month, whole, for control K1.

    :param period: the month, YYYY-MM; empty: the month before the run. Templated.
    :param kantata_conn_id: Airflow connection of type `psflow_kantata`.
    """

    template_fields: Sequence[str] = ("period",)

    def __init__(self, *, period: str, kantata_conn_id: str = "psflow_kantata", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.period = period
        self.kantata_conn_id = kantata_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        """Return how many hours and expenses there are."""
        from psflow.flows.period_source import read_source
        from psflow_airflow.hooks.kantata import KantataHook

        with opened(self.store_conn_id) as (store, config):
            psa = KantataHook(self.kantata_conn_id).adapter(config, store)
            return read_source(store, psa, month(self.period, context))


class PeriodControlsOperator(PsflowOperator):
    """
    Compute the controls of a month and keep them as a version, with the run and who started it.

    :param legal_entity_id: an id of psflow.yaml. Templated.
    :param period: the month, YYYY-MM; empty: the month before the run. Templated.
    """

    template_fields: Sequence[str] = ("legal_entity_id", "period")

    def __init__(self, *, legal_entity_id: str, period: str, **kwargs: Any) -> None:
        super().__init__(multiple_outputs=True, **kwargs)
        self.legal_entity_id = legal_entity_id
        self.period = period

    def execute(self, context: Context) -> dict[str, int | str]:
        """Return the version's number in ops.close and its hash. Raises TransientError while a batch is open."""
        from psflow.flows.period import find, prepare

        run, of = context["dag_run"], month(self.period, context)
        with opened(self.store_conn_id) as (store, config):
            user = getattr(run, "triggering_user_name", None)
            close = prepare(store, config, self.legal_entity_id, of, run.run_id, user)
            return {"close_id": close, "content_hash": str(find(store, close)["content_hash"])}


class PeriodRecheckOperator(PsflowOperator):
    """Ask every signed control again; a month that is not as signed any more is an exception and a red run."""

    def execute(self, context: Context) -> dict[str, int]:
        """Return how many months are signed. Raises NeedsReview when one changed; it stays closed."""
        from psflow.flows.period import recheck

        with opened(self.store_conn_id) as (store, config):
            counts = recheck(store, config)
        if counts["changed"]:
            raise NeedsReview(
                f"{counts['changed']} of {counts['signed']} months are not as they were signed; see psflow > Close"
            )
        return counts
