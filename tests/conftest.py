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


_LONG = (
    "crash/test_crash", "airflow/test_runs", "flows/test_billing", "store/test_accounts", "systems/test_tryton",
    "flows/test_effects", "flows/test_compensation", "flows/test_billing_histories", "stack/test_airflow",
    "flows/test_billing_rates", "flows/test_real_erp", "stack/test_stack", "flows/test_expenses",
)  # fmt: skip


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest files where several processes share the work: else one of them is left alone with them."""
    if hasattr(config, "workerinput"):
        first = {f"tests/{name}.py": at for at, name in enumerate(_LONG)}
        items.sort(key=lambda item: first.get(item.nodeid.partition("::")[0], len(first)))


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
