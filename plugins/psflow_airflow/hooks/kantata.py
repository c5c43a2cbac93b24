"""A `psflow_kantata` connection as the PSA adapter: the API's host, the bearer token as password."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from psflow.systems.kantata.client import Kantata
from psflow_airflow.hooks.base import SystemHook, optional_extra, required

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from psflow.contracts import VendorProfile
    from psflow.systems.transport import Transport


class KantataHook(SystemHook[Kantata]):
    """Extra field: `app_url`, the address people use."""

    conn_type = "psflow_kantata"
    hook_name = "Kantata (psflow)"
    default_conn_name = "psflow_kantata"
    system = "kantata"

    def _adapter(self, connection: Connection, transport: Transport, profile: VendorProfile) -> Kantata:
        adapter = Kantata(transport, profile, bearer=required(connection, "password", "bearer token"))
        adapter.app_url = optional_extra(connection, "app_url") or adapter.app_url
        return adapter

    def _cheap_read(self, adapter: Kantata) -> None:
        next(adapter.time_entries(dt.datetime.now(dt.UTC)))
