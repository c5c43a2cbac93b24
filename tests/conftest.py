"""One PostgreSQL for the whole test session, or the user's own server when PSFLOW_DATABASE_URL is set."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from psflow.sandbox.postgres import OWN_SERVER, Postgres, Server

pytest_plugins = ["psflow.testing", "tests.database", "tests.systems.tryton_fixture"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A running server; tests make their own databases with `ensure_database`."""
    with tempfile.TemporaryDirectory(prefix="psflow-tests-", dir=_memory()) as name:
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


def _memory() -> str | None:
    """Return a place in memory for the server's files; None, which is the disk, where there is little of it."""
    place = "/dev/shm"
    roomy = os.access(place, os.W_OK) and shutil.disk_usage(place).free > 4 << 30
    return place if roomy else None
