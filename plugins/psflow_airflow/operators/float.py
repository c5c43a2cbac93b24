"""
Float in a DAG: pull people and allocations; create a project, ask for people, assign and release them.

Each writing operator is one effect: registered under its subject, sent once, and looked up by its key when it is in
doubt. What its payload holds is told in `psflow.systems.float.client`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from psflow_airflow.operators.base import PsflowOperator, RecordLink, opened

if TYPE_CHECKING:
    from airflow.sdk import Context

    from psflow.contracts import Capability


class FloatPullOperator(PsflowOperator):
    """
    Pull all people with skills, working hours and cost, and all allocations of the window; what is missing was deleted.

    In a DAG of your own::

        from airflow.sdk import DAG
        from psflow_airflow.operators.float import FloatPullOperator
        from psflow_airflow.recovery import RETRIES

        with DAG("planning", schedule="@hourly", default_args=RETRIES):
            FloatPullOperator(task_id="pull", float_conn_id="psflow_float")

    :param float_conn_id: Airflow connection of type `psflow_float`.
    """

    def __init__(self, *, float_conn_id: str = "psflow_float", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.float_conn_id = float_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Return counts."""
        from psflow.flows.sync_people import pull_planner
        from psflow_airflow.hooks.float import FloatHook

        with opened(self.store_conn_id) as (store, config):
            return pull_planner(store, config, FloatHook(self.float_conn_id).adapter(config, store))


class FloatWriteOperator(PsflowOperator):
    """
    Base of one write to Float.

    :param subject: what the write is about; the same subject is written once. Templated.
    :param payload: what to write. Templated; another payload under a subject that was written needs a person.
    :param engagement_id: the engagement it belongs to, if any. Templated.
    :param float_conn_id: Airflow connection of type `psflow_float`.
    """

    template_fields: Sequence[str] = ("subject", "payload", "engagement_id")
    operator_extra_links = (RecordLink(),)
    capability: ClassVar[Capability]
    kind: ClassVar[str] = "assignment"

    def __init__(
        self,
        *,
        subject: str,
        payload: dict[str, Any],
        engagement_id: str | None = None,
        float_conn_id: str = "psflow_float",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.subject = subject
        self.payload = payload
        self.engagement_id = engagement_id
        self.float_conn_id = float_conn_id

    def execute(self, context: Context) -> str:
        """Return Float's id of the project or allocation. Raises Rejected when Float refused."""
        from psflow.flows.effects import done, drive
        from psflow.store.effects import NewEffect, register
        from psflow_airflow.hooks.float import FloatHook

        with opened(self.store_conn_id) as (store, config):
            planner = FloatHook(self.float_conn_id).adapter(config, store)
            new = NewEffect(planner.key, self.capability, self.subject, self.payload, self.engagement_id)
            with store.transaction(f"operator.{self.capability}"):
                register(store, [new])
            record_id = done(drive(store, config, planner, [new.key]))[new.key]
        self.record_url = planner.url(self.kind, record_id)
        return record_id


class FloatCreateProjectOperator(FloatWriteOperator):
    """Create a project unless one has its code; `subject` is usually the project code."""

    capability = "create_project"
    kind = "project"


class FloatRequestResourceOperator(FloatWriteOperator):
    """Show a request as a placeholder with a tentative allocation; `subject` is the request's id."""

    capability = "request_resource"


class FloatCloseRequestOperator(FloatWriteOperator):
    """Archive the placeholder of a request, with its allocation; `subject` is the request's id."""

    capability = "close_request"


class FloatAssignOperator(FloatWriteOperator):
    """
    Book a person on a project, confirmed; `subject` is the id of the request it answers.

    In a DAG of your own::

        from airflow.sdk import DAG
        from psflow_airflow.operators.float import FloatAssignOperator
        from psflow_airflow.recovery import RETRIES

        with DAG("book", schedule=None, default_args=RETRIES):
            FloatAssignOperator(
                task_id="assign",
                subject="E-1001.1.R1",
                engagement_id="E-1001",
                payload={
                    "planner_person_id": "42", "planner_project_id": "310", "role": "Consultant",
                    "starts_on": "2026-11-09", "ends_on": "2026-11-20", "hours_per_day": "6",
                },
            )
    """

    capability = "assign_resource"


class FloatReleaseOperator(FloatWriteOperator):
    """End an allocation on the last day that counts; `subject` names the release, once for each new end."""

    capability = "release_resource"
