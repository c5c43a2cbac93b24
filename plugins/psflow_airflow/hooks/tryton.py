"""A `psflow_tryton` connection as the ERP adapter of one company in one database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psflow.systems.tryton.client import Tryton
from psflow_airflow.hooks.base import SystemHook, optional_extra, required, required_extra

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from psflow.contracts import VendorProfile
    from psflow.systems.transport import Transport

_NAMES = ("payment_term", "hours_product", "fee_product")


class TrytonHook(SystemHook[Tryton]):
    """
    Extra fields: `database`, `company`; and, where the adapter's defaults differ, the names in `_NAMES`.

    :param company: name of the company in Tryton whose books are meant; the connection's own when left out.
    """

    conn_type = "psflow_tryton"
    hook_name = "Tryton (psflow)"
    default_conn_name = "psflow_tryton"
    system = "tryton"

    def __init__(self, conn_id: str | None = None, company: str | None = None) -> None:
        super().__init__(conn_id)
        self.company = company

    def _adapter(self, connection: Connection, transport: Transport, profile: VendorProfile) -> Tryton:
        given: dict[str, Any] = {name: optional_extra(connection, name) for name in _NAMES}
        return Tryton(
            transport,
            profile,
            login=required(connection, "login", "user"),
            password=required(connection, "password", "password"),
            database=required_extra(connection, "database"),
            company=self.company or required_extra(connection, "company"),
            **{name: value for name, value in given.items() if value},
        )

    def _cheap_read(self, adapter: Tryton) -> None:
        adapter.invoices(["-"])  # nobody's reference; signs in and finds the company
