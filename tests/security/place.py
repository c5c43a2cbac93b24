"""A migrated business database on a server of its own, for commands that run without pytest."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psflow.sandbox.postgres import Postgres
from psflow.warehouse import migrate


@contextmanager
def business_database() -> Iterator[str]:
    """Yield the URL of a fresh business database as the superuser; the server ends with the block."""
    with tempfile.TemporaryDirectory(prefix="psflow-proof-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root the server runs as `nobody`, who must get here
        server = Postgres(folder / "postgres", durable=False)
        server.start()
        try:
            server.ensure_database("psflow", "psflow")
            for role in ("psflow_app", "psflow_finance", "psflow_pmo"):
                server.ensure_role(role)
            migrate.upgrade(server.url("psflow", "psflow"))
            yield server.url("psflow")
        finally:
            server.remove()
