"""A `psflow_float` connection as the planner adapter: the API's host, the account's token as password."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from psflow.errors import ConfigurationError
from psflow.systems.float.client import Float
from psflow_airflow.hooks.base import SystemHook, optional_extra, required, required_extra

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from psflow.contracts import VendorProfile
    from psflow.systems.transport import Transport


class FloatHook(SystemHook[Float]):
    """Extra fields: `currency`, `zone` of the account, `contact` for Float's own people, `app_url` that people use."""

    conn_type = "psflow_float"
    hook_name = "Float (psflow)"
    default_conn_name = "psflow_float"
    system = "float"

    def _adapter(self, connection: Connection, transport: Transport, profile: VendorProfile) -> Float:
        return Float(
            transport,
            profile,
            token=required(connection, "password", "API token"),
            currency=required_extra(connection, "currency"),
            contact=required_extra(connection, "contact"),
            app_url=required_extra(connection, "app_url"),
            zone=_zone(connection),
        )

    def _cheap_read(self, adapter: Float) -> None:
        next(adapter.people())


def _zone(connection: Connection) -> ZoneInfo:
    name = optional_extra(connection, "zone") or "UTC"
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ConfigurationError(
            f"connection {connection.conn_id!r}: time zone {name!r} is unknown; name it as in Europe/Berlin"
        ) from None
