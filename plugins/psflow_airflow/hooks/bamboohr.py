"""A `psflow_bamboohr` connection as the HR adapter: the company's own host, the API key as password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psflow.systems.bamboohr.client import BambooHR
from psflow_airflow.hooks.base import SystemHook, required

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from psflow.contracts import VendorProfile
    from psflow.systems.transport import Transport


class BambooHRHook(SystemHook[BambooHR]):
    """The key reads what its user may see: give that user people's names, work e-mail, location, dates and time off."""

    conn_type = "psflow_bamboohr"
    hook_name = "BambooHR (psflow)"
    default_conn_name = "psflow_bamboohr"
    system = "bamboohr"

    def _adapter(self, connection: Connection, transport: Transport, profile: VendorProfile) -> BambooHR:
        return BambooHR(transport, profile, api_key=required(connection, "password", "API key"))

    def _cheap_read(self, adapter: BambooHR) -> None:
        next(adapter.resources())
