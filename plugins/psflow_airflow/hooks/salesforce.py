"""A `psflow_salesforce` connection as the CRM adapter: My Domain host, client id and client secret."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from psflow.systems.salesforce.client import Salesforce
from psflow_airflow.hooks.base import SystemHook, optional_extra, required

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from psflow.contracts import VendorProfile
    from psflow.systems.transport import Transport


class SalesforceHook(SystemHook[Salesforce]):
    """Extra field: `org_currency`, for a single-currency org."""

    conn_type = "psflow_salesforce"
    hook_name = "Salesforce (psflow)"
    default_conn_name = "psflow_salesforce"
    system = "salesforce"

    def _adapter(self, connection: Connection, transport: Transport, profile: VendorProfile) -> Salesforce:
        return Salesforce(
            transport,
            profile,
            client_id=required(connection, "login", "client id"),
            client_secret=required(connection, "password", "client secret"),
            org_currency=optional_extra(connection, "org_currency"),
        )

    def _cheap_read(self, adapter: Salesforce) -> None:
        next(adapter.customers(dt.datetime.now(dt.UTC)))
