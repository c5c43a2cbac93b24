"""
What the hooks of all systems share: a connection's fields checked, its session tamed, its host made a Transport.

HttpHook makes the session, so that `verify`, `cert`, `proxies` and `trust_env` of a connection's extra mean what they
mean everywhere in Airflow. It would also send every other extra field as a header and login with password as Basic
auth; neither leaves here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, TypeVar
from urllib.parse import urlsplit

from airflow.providers.http.hooks.http import HttpHook
from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from requests.utils import default_headers

from psflow import config
from psflow.errors import ConfigurationError, PsflowError
from psflow.store.accounts import SharedAccount
from psflow.systems.transport import Transport

if TYPE_CHECKING:
    from requests import PreparedRequest, Session

    from psflow.config import Config
    from psflow.contracts import VendorProfile
    from psflow.store.connection import Store
    from psflow.systems.ports import System

A = TypeVar("A", bound="System")
Field = Literal["host", "login", "password", "schema"]


class SystemHook(BaseHook, ABC, Generic[A]):
    """
    One system's connection, as the adapter `A`.

    :param conn_id: Airflow connection of the hook's `conn_type`.
    :raises ConfigurationError: when the connection or one of its fields is missing; names both.
    """

    conn_name_attr = "conn_id"
    system: ClassVar[Literal["salesforce", "kantata", "bamboohr", "float", "tryton"]]
    default_conn_name: ClassVar[str]

    def __init__(self, conn_id: str | None = None) -> None:
        super().__init__()
        self.conn_id = conn_id or self.default_conn_name

    def get_conn(self) -> A:
        """Return the adapter, with its vendor's profile from psflow.yaml."""
        return self.adapter(config.load())

    def adapter(self, policy: Config, store: Store | None = None) -> A:
        """
        Return the adapter, with its vendor's profile from an already loaded psflow.yaml.

        With a store it keeps the rate budget and the circuit breaker that all processes share.
        """
        connection = found(self.conn_id)
        profile = policy.systems[self.system]
        transport = self._transport(connection, profile.deadline_s)
        adapter = self._adapter(connection, transport, profile)
        if store:
            transport.account = SharedAccount(store, policy, self.system, adapter.instance)
        return adapter

    def test_connection(self) -> tuple[bool, str]:
        """Read something cheap; return whether it worked and what to tell the person at the form."""
        try:
            self._cheap_read(self.get_conn())
        except PsflowError as error:
            return False, str(error)
        return True, f"{self.system} answers and accepts the login"

    @abstractmethod
    def _adapter(self, connection: Connection, transport: Transport, profile: VendorProfile) -> A: ...

    @abstractmethod
    def _cheap_read(self, adapter: A) -> None: ...

    def _transport(self, connection: Connection, deadline_s: float) -> Transport:
        url = _base_url(connection, required(connection, "host", "base URL"))
        return Transport(self.system, url, deadline_s, _session(self.conn_id))


def found(conn_id: str) -> Connection:
    """Return an Airflow connection. Raises ConfigurationError when there is none."""
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise ConfigurationError(f"Airflow has no connection {conn_id!r}; add it under Admin > Connections") from None


def required(connection: Connection, field: Field, meaning: str) -> str:
    """Return a field that must be there. Raises ConfigurationError naming connection and field."""
    value: str | None = getattr(connection, field)
    if not value:
        raise ConfigurationError(f"connection {connection.conn_id!r} lacks its {field} ({meaning}); fill it in")
    return value


def required_extra(connection: Connection, name: str) -> str:
    """Return an extra field that must be there. Raises ConfigurationError naming connection and field."""
    value = optional_extra(connection, name)
    if not value:
        raise ConfigurationError(f"connection {connection.conn_id!r} lacks its extra field {name!r}; fill it in")
    return value


def optional_extra(connection: Connection, name: str) -> str | None:
    """Return an extra field, None when it is absent or empty."""
    value = connection.extra_dejson.get(name)
    return str(value) if value else None


def _base_url(connection: Connection, host: str) -> str:
    url = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    if "@" in urlsplit(url).netloc:  # it would be shown in every link and error
        raise ConfigurationError(f"connection {connection.conn_id!r} has a login in its host; use its own fields")
    return f"{url.rstrip('/')}:{connection.port}" if connection.port else url


def _session(conn_id: str) -> Session:
    session = HttpHook(http_conn_id=conn_id).get_conn()
    session.headers = default_headers()
    session.auth = _as_prepared  # and not None, which would let ~/.netrc replace the adapter's own token
    return session


def _as_prepared(request: PreparedRequest) -> PreparedRequest:
    return request
