"""One PostgreSQL for the whole test session, or the user's own server when PSFLOW_DATABASE_URL is set."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from psflow.sandbox.postgres import OWN_SERVER, Postgres, Server

pytest_plugins = ["psflow.testing", "tests.database", "tests.systems.tryton_fixture"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A running server; tests make their own databases with `ensure_database`."""
    with tempfile.TemporaryDirectory(prefix="psflow-tests-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root the server runs as `nobody`, who must get here
        if address := os.environ.get(OWN_SERVER):
            own = Server(folder, address)
            own.start()
            yield own
            return
        server = Postgres(folder / "postgres", durable=False)
        server.start()
        yield server
        server.remove()
