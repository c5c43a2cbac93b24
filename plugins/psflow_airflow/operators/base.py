"""
What our operators share: the store, the ids their log lines carry, and the link to the vendor's own page.

psycopg, Great Expectations and the providers' hooks are imported when a task runs, so that a DAG file costs little.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.exceptions import AirflowSkipException

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import TaskInstanceKey

    from psflow.config import Config
    from psflow.store.connection import Store


class RecordLink(BaseOperatorLink):
    """Open the record at its vendor. Airflow asks once, in the worker after the task, and keeps the answer."""

    name = "Record at the vendor"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return what the task noted, empty when it has not come to a record."""
        return str(getattr(operator, "record_url", ""))


@contextmanager
def opened(store_conn_id: str) -> Iterator[tuple[Store, Config]]:
    """Open the store and psflow.yaml for one task. What policy lets not out skips the task, and says so."""
    from psflow import config
    from psflow.errors import Withheld
    from psflow_airflow.hooks.store import StoreHook

    policy = config.load()
    with StoreHook(store_conn_id).open(policy) as store:
        try:
            yield store, policy
        except Withheld as withheld:
            raise AirflowSkipException(str(withheld)) from None


class PsflowOperator(BaseOperator):
    """
    Base of all operators here.

    :param store_conn_id: Airflow connection (type `postgres`) of the business database.
    """

    def __init__(self, *, store_conn_id: str = "psflow_db", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store_conn_id = store_conn_id


def _tell(context: Context) -> None:
    """Leave an exception when a step of an engagement failed for good; the run alone is nobody's work list."""
    from psflow.flows.failure import activation_failed

    task: Any = context["task"]
    error: Any = context["exception"]
    with opened(task.store_conn_id) as (store, config):
        activation_failed(store, config, task.engagement_id, int(task.epoch), task.task_id, error)


class EngagementOperator(PsflowOperator):
    """
    Base of a step of one engagement. When it fails for good and nobody is told of it, it opens an exception.

    :param engagement_id: the engagement, e.g. `E-1001`. Templated.
    :param epoch: how often its deal was won, from 1. Templated.
    """

    template_fields: Sequence[str] = ("engagement_id", "epoch")

    def __init__(self, *, engagement_id: str, epoch: int | str, **kwargs: Any) -> None:
        given = kwargs.pop("on_failure_callback", None) or []
        callbacks = [_tell, *(given if isinstance(given, (list, tuple)) else [given])]
        super().__init__(on_failure_callback=callbacks, **kwargs)
        self.engagement_id = engagement_id
        self.epoch = epoch

    def pre_execute(self, context: Context) -> None:
        """Put the engagement on every log line of this task, that of a failure included."""
        structlog.contextvars.bind_contextvars(engagement_id=self.engagement_id)


class BatchOperator(PsflowOperator):
    """
    Base of a step of one billing batch.

    :param batch_id: the batch, e.g. `MER-US.2026-10.1`. Templated.
    """

    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, *, batch_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id

    def pre_execute(self, context: Context) -> None:
        """Put the batch on every log line of this task, that of a failure included."""
        structlog.contextvars.bind_contextvars(batch_id=self.batch_id)
