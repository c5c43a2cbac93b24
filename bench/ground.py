"""What every part stands on: one Postgres with its databases, processes that are measured, and what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from psflow.sandbox.postgres import Server
from psflow.warehouse import migrate

ROOT = Path(__file__).parents[1]
REGION = "eu-west"


@dataclass
class Ground:
    """Where one bench runs: its folder, its server, its size and its seed."""

    folder: Path
    server: Server
    rows: int
    seed: int
    environ: dict[str, str] = field(default_factory=lambda: os.environ | {"PYTHONPATH": str(ROOT)})

    def database(self, name: str, *, migrated: bool = True) -> str:
        """Make a database anew and return its URL as the owner."""
        with psycopg.connect(self.server.url(), autocommit=True) as admin:
            admin.execute(f'drop database if exists "{name}" with (force)')
            admin.execute(f'create database "{name}"')
        url = self.server.url(name)
        if migrated:
            migrate.upgrade(url)
        return url

    def run(
        self, module: str, *arguments: object, python: Path | str = sys.executable, limit_s: int = 0
    ) -> dict[str, Any]:
        """
        Run a part in a process of its own and return what it says of itself.

        With a limit a statement that takes longer is given up: then `seconds` is the limit and `gave_up` true. Raises
        RuntimeError with the end of what it printed when it fails otherwise.
        """
        limit = {"PGOPTIONS": f"-c statement_timeout={limit_s}s"} if limit_s else {}
        url = next((word for word in arguments if str(word).startswith("postgresql://")), "")
        words = ["-" if word == url else str(word) for word in arguments]
        done = subprocess.run(
            [str(python), "-m", module, *words], cwd=self.folder, check=False, capture_output=True, text=True,
            env=self.environ | limit | {"BENCH_URL": str(url)},
        )  # fmt: skip
        if limit_s and "due to statement timeout" in done.stderr:
            return {"seconds": float(limit_s), "peak_mb": 0.0, "gave_up": True}
        if done.returncode:
            raise RuntimeError(f"{module} {words} failed: {(done.stderr or done.stdout)[-2000:]}")
        said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return said

    @contextmanager
    def psa(self) -> Iterator[str]:
        """Serve the feeds of the folder for the block; yield the address."""
        with subprocess.Popen(
            [sys.executable, "-m", "bench.server", str(self.folder)],
            env=self.environ,
            stdout=subprocess.PIPE,
            text=True,
        ) as vendor:
            assert vendor.stdout is not None
            try:
                yield vendor.stdout.readline().strip()
            finally:
                vendor.terminate()
