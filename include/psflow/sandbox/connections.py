"""The Airflow connections of the local stack: the only place where its DAGs find hosts and secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from psflow.sandbox.stack import Stack
    from psflow.store.seal import Seal


def connect(stack: Stack) -> None:
    """Create or replace the connections in the running Airflow."""
    vendors, tryton = stack.vendors, stack.tryton
    stack.airflow.api().put_connections(
        [
            _database(stack.database_url("psflow_app")),
            _audit(stack.seal()),
            {
                "connection_id": "psflow_salesforce",
                "conn_type": "psflow_salesforce",
                "host": vendors.salesforce_url,
                "login": vendors.credentials.client_id,
                "password": vendors.credentials.client_secret,
            },
            {
                "connection_id": "psflow_kantata",
                "conn_type": "psflow_kantata",
                "host": vendors.kantata_url,
                "password": vendors.credentials.bearer,
                "extra": json.dumps({"app_url": vendors.kantata_url}),
            },
            {
                "connection_id": "psflow_bamboohr",
                "conn_type": "psflow_bamboohr",
                "host": vendors.bamboohr_url,
                "password": vendors.credentials.api_key,
            },
            {
                "connection_id": "psflow_float",
                "conn_type": "psflow_float",
                "host": vendors.float_url,
                "password": vendors.credentials.float_token,
                "extra": json.dumps(
                    {"currency": "USD", "contact": "psflow@meridian.example", "app_url": vendors.float_url}
                ),
            },
            {
                "connection_id": "psflow_tryton",
                "conn_type": "psflow_tryton",
                "host": tryton.url,
                "login": tryton.login,
                "password": tryton.password,
                "extra": json.dumps({"database": tryton.database, "company": tryton.company}),
            },
        ]
    )


def _audit(seal: Seal) -> dict[str, Any]:
    extra = json.dumps({"anchor": str(seal.anchor)})
    return {"connection_id": "psflow_audit", "conn_type": "generic", "password": seal.key, "extra": extra}


def _database(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "connection_id": "psflow_db",
        "conn_type": "postgres",
        "host": parts.hostname,
        "port": parts.port,
        "login": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "schema": unquote(parts.path.lstrip("/")),
    }
