"""A `postgres` connection as the open store, and as the gate that runs beside it. The URL stays in here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from psflow.gates.suite import ExpectationGate
from psflow.store.connection import Store
from psflow.store.seal import Seal
from psflow_airflow.hooks.base import found, optional_extra, required

if TYPE_CHECKING:
    from psflow.config import Config


class StoreHook(BaseHook):
    """
    The business database. What its audit is sealed with is in the connection `psflow_audit`: the key as its password,
    the file that heads are appended to as its extra field `anchor`. Without it nothing that must be audited is kept.

    :param conn_id: a connection of Airflow's own type `postgres`; its extra may hold any libpq option (`sslmode`, ...).
    :raises ConfigurationError: when the connection or its database is missing.
    """

    default_conn_name = "psflow_db"

    def __init__(self, conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.conn_id = conn_id

    def open(self, policy: Config) -> Store:
        """Return the store, open and of the region of psflow.yaml. Raises TransientError when it does not answer."""
        return Store.open(self._url(), policy.region, _seal())

    def gate(self) -> ExpectationGate:
        """Return the gate that runs the suites inside this database."""
        return ExpectationGate(self._url())

    def _url(self) -> str:
        connection = found(self.conn_id)
        required(connection, "schema", "database")
        postgres = PostgresHook(connection=connection)
        extra = connection.extra_dejson.items()
        options = {name: str(value) for name, value in extra if name not in postgres.ignored_extra_options}
        url = postgres.sqlalchemy_url.set(drivername="postgresql", query={}).render_as_string(hide_password=False)
        return f"{url}?{urlencode(options, quote_via=quote)}" if options else url  # libpq does not read + as a blank


def _seal() -> Seal | None:
    """Return the seal of the connection `psflow_audit`; without one that of the environment counts, if there is one."""
    try:
        connection = BaseHook.get_connection("psflow_audit")
    except AirflowNotFoundException:
        return None
    anchor = optional_extra(connection, "anchor")
    return Seal(required(connection, "password", "key"), Path(anchor) if anchor else None)
