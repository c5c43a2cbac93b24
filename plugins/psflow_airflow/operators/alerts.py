"""Alerts in a DAG: tell each owner team what is new, overdue or over, and every day where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowSkipException

from psflow.errors import ConfigurationError
from psflow_airflow.operators.base import PsflowOperator, opened

if TYPE_CHECKING:
    from airflow.sdk import Context

    from psflow.config import Channel, Config
    from psflow.flows.alert_message import Message
    from psflow.flows.alerts import Send


class TellAlertsOperator(PsflowOperator):
    """Tell each team with a channel in psflow.yaml what is new, overdue or over. Skips when there is no channel."""

    def execute(self, context: Context) -> dict[str, int]:
        """Return how many exceptions were told as new, escalated and resolved. Raises the first team's error, last."""
        from psflow.flows.alerts import tell

        with opened(self.store_conn_id) as (store, config):
            return tell(store, config, _base_url(config), _sender(context))


class TellDigestOperator(PsflowOperator):
    """Tell each team with a channel in psflow.yaml where it stands, once a day. Skips when there is no channel."""

    def execute(self, context: Context) -> int:
        """Return how many teams were told. Raises the first team's error, last."""
        from psflow.flows.alerts import tell_digest

        day = context["dag_run"].run_after.date()
        with opened(self.store_conn_id) as (store, config):
            return tell_digest(store, config, _base_url(config), _sender(context), day)


def _base_url(config: Config) -> str:
    if not config.channels:
        raise AirflowSkipException("psflow.yaml names no channels: nobody is told")
    url: str | None = conf.get("api", "base_url", fallback=None)
    if not url:
        raise ConfigurationError("Airflow has no [api] base_url, which links need; set AIRFLOW__API__BASE_URL")
    return url.rstrip("/")


def _sender(context: Any) -> Send:
    from psflow_airflow.notifications import notifier

    def send(channel: Channel, message: Message) -> None:
        notifier(channel, message)(context)

    return send
