"""A real Tryton for the tests of a session, from the dump and environment that the demo also uses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from psflow.contracts import VendorProfile
from psflow.sandbox.postgres import Server
from psflow.sandbox.tryton import TrytonServer
from psflow.systems.transport import Transport
from psflow.systems.tryton.client import Tryton

STATE = Path(os.environ.get("PSFLOW_STATE_DIR") or Path(__file__).parents[2] / ".runtime")
CACHE = STATE / "cache" / "tryton"
PROFILE = VendorProfile(lookup="search", deadline_s=5, late_landing_s=2, search_lag_s=0, lease_s=15)


@pytest.fixture(scope="session")
def tryton_server(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonServer]:
    """Return a running Tryton with the seeded company and nothing else in it."""
    database = f"tryton_test_{os.getpid()}"
    server = TrytonServer(tmp_path_factory.mktemp("tryton"), postgres, CACHE, database)
    server.start()
    yield server
    server.stop()
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as db:
        db.execute(f"DROP DATABASE {database} WITH (FORCE)")


def adapter(server: TrytonServer, deadline_s: float = 30, **settings: str) -> Tryton:
    """
    Return an adapter that goes through the server's proxy, as psflow's own login unless told otherwise.

    A server's first posting on a busy machine has taken longer than the five seconds of psflow.yaml.
    """
    who = {"login": server.login, "password": server.password, "database": server.database, "company": server.company}
    return Tryton(Transport("tryton", server.url, deadline_s), PROFILE, **(who | settings))
