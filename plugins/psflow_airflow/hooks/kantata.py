"""A `psflow_kantata` connection as the PSA adapter: the API's host, the bearer token as password."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, get_args

from psflow.errors import ConfigurationError
from psflow.systems.kantata.client import Kantata
from psflow.systems.kantata.mapping_delivery import Beside, LineField
from psflow_airflow.hooks.base import SystemHook, optional_extra, required

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from psflow.contracts import VendorProfile
    from psflow.systems.transport import Transport


class KantataHook(SystemHook[Kantata]):
    """
    Extra fields: `app_url`, the address people use; `contract_line_field`, the field of a time entry that names its
    contract line; `regions`, which region of ours a location of a time entry is: `Berlin = EU, Boston = NA`.
    """

    conn_type = "psflow_kantata"
    hook_name = "Kantata (psflow)"
    default_conn_name = "psflow_kantata"
    system = "kantata"

    def _adapter(self, connection: Connection, transport: Transport, profile: VendorProfile) -> Kantata:
        adapter = Kantata(transport, profile, bearer=required(connection, "password", "bearer token"))
        adapter.app_url = optional_extra(connection, "app_url") or adapter.app_url
        adapter.beside = Beside(_line_field(connection), _regions(connection))
        return adapter

    def _cheap_read(self, adapter: Kantata) -> None:
        next(adapter.time_entries(dt.datetime.now(dt.UTC)))


def _line_field(connection: Connection) -> LineField | None:
    said, known = optional_extra(connection, "contract_line_field"), {name: name for name in get_args(LineField)}
    if said is not None and said not in known:
        raise ConfigurationError(
            f"connection {connection.conn_id!r}: contract_line_field {said!r} is no text of a time entry of "
            f"Kantata's; choose of {', '.join(known)}"
        )
    return known[said] if said else None


def _regions(connection: Connection) -> dict[str, str]:
    """Return location -> region. Raises ConfigurationError for what is no pair."""
    found = dict[str, str]()
    for pair in (optional_extra(connection, "regions") or "").split(","):
        location, _, region = (side.strip() for side in pair.partition("="))
        if pair.strip() and not (location and region):
            said = f"connection {connection.conn_id!r}: regions has {pair.strip()!r}; write location = region, ..."
            raise ConfigurationError(said)
        if location:
            found[location] = region
    return found
