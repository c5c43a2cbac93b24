"""
The local stack of one state folder: Postgres, then Tryton, the vendor sandboxes and Airflow side by side.

The folder is `PSFLOW_STATE_DIR` or `.runtime` of the project. One `up` or `down` works on it at a time; both may find
whatever a killed one left behind.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TextIO
from urllib.parse import urlsplit

import psflow
from psflow import config
from psflow.errors import ConfigurationError, PsflowError
from psflow.sandbox import tryton
from psflow.sandbox.airflow import COMPONENTS, Airflow
from psflow.sandbox.connections import connect
from psflow.sandbox.postgres import Postgres, Server, server
from psflow.sandbox.processes import end, kept, leaders, marked
from psflow.sandbox.tryton import TrytonServer
from psflow.sandbox.vendors import VENDORS, Vendor, Vendors
from psflow.store.seal import Seal
from psflow.warehouse import migrate

DATABASES = {"psflow": "psflow", "airflow": "airflow", "tryton": tryton.OWNER}  # name -> role that owns it
_MARK = "PSFLOW_STACK"  # in the environment of everything a stack starts
_LAST_BREATH_S = 2


def project_root() -> Path:
    """Return the project's folder: where the editable install lies, else the current folder or one above it."""
    installed = Path(psflow.__file__).resolve().parents[2]
    for folder in (installed, Path.cwd(), *Path.cwd().parents):
        if (folder / "psflow.yaml").exists() and (folder / "dags").is_dir():
            return folder
    raise ConfigurationError(f"no psflow project in {Path.cwd()} or above it: go to the folder that holds psflow.yaml")


def state_folder(project: Path) -> Path:
    """Return where all state of the stack lies: PSFLOW_STATE_DIR, or .runtime in the project."""
    return Path(os.environ.get("PSFLOW_STATE_DIR") or project / ".runtime").absolute()


class Stack:
    """All services of one state folder. `with Stack():` has them up inside and down after."""

    def __init__(self, state: Path | None = None, project: Path | None = None) -> None:
        self.project = project or project_root()
        self.state = state or state_folder(self.project)
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            self.postgres: Server = server(self.state / "postgres")
            self.vendors = Vendors(self.state / "vendors")
            self.airflow = Airflow(self.state / "airflow", self.postgres, self.project)
            self.tryton = TrytonServer(self.state / "tryton", self.postgres)
        except OSError as error:
            why = f"{error.strerror}: {error.filename}"
            raise ConfigurationError(
                f"cannot use {self.state} ({why}); set PSFLOW_STATE_DIR to a folder of yours"
            ) from None

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def database_url(self, role: str = "psflow_app") -> str:
        """URL of the business database as the role that flows run as, `psflow_finance` that reads, or `psflow`."""
        return self.postgres.url("psflow", role)

    def seal(self) -> Seal:
        """Return what this stack's audit is written and checked with: a key of its own, and a file of its heads."""
        folder = self.state / "audit"
        folder.mkdir(exist_ok=True)
        secret: dict[str, str] = kept(folder / "key.json", lambda: {"key": secrets.token_hex(32)})
        return Seal(secret["key"], folder / "anchor")

    def up(self, say: Callable[[str], None] = lambda _: None) -> None:
        """
        Start what does not run and wait until all of it answers; `say` hears each service that does.

        Whatever goes wrong, Ctrl-C included, everything is stopped again before the error leaves.
        """
        config.load(self.project / "psflow.yaml")  # a wrong policy would fail every run, one by one
        with self._alone():
            os.environ[_MARK] = str(self.state)
            try:
                self.postgres.start()
                self._make_databases()
                say("postgres")
                self._together(say)
                connect(self)
            except BaseException:
                self._stop()
                raise

    def down(self) -> None:
        """Stop everything, whoever started it; what was kept stays."""
        with self._alone():
            self._stop()

    def forget(self) -> None:
        """Stop everything and delete what was kept, also what lies outside the state folder."""
        self.down()
        if isinstance(self.postgres, Postgres):
            self.postgres.remove()
        for folder in ("airflow", "audit", "vendors", "tryton", "demo"):
            shutil.rmtree(self.state / folder, ignore_errors=True)

    def renew(self) -> None:
        """Stop everything and forget all business: databases and vendors' records. What was built once stays."""
        with self._alone():
            self._stop()
            self.postgres.start()
            for database in DATABASES:
                self.postgres.drop_database(database)
            shutil.rmtree(self.state / "audit", ignore_errors=True)  # a new database is a new chain
            self.vendors.reset()
            self.tryton.reset_faults()
            self.airflow.forget_logs()

    def migrate(self) -> str:
        """Bring the business database to this version and return its revision."""
        self._make_databases()
        return migrate.upgrade(self.database_url("psflow"))

    def status(self) -> dict[str, dict[str, Any]]:
        """Return service -> {running, pid, url, healthy}."""
        parts = leaders(_MARK, str(self.state))
        airflow = {name: parts[name] for name in COMPONENTS if name in parts}
        found: dict[str, dict[str, Any]] = {
            "postgres": _row(self.postgres.running, self.postgres.pid, _without_login(self.postgres)),
            **{vendor: self._vendor(vendor) for vendor in VENDORS},
            "tryton": _row(self.tryton.running, parts.get("server"), self.tryton.url),
            "airflow": _row(len(airflow) == len(COMPONENTS), airflow.get("api-server"), self.airflow.url),
        }
        found["airflow"] |= {"components": airflow, "healthy": bool(airflow) and self.airflow.healthy()}
        return found

    def logs(self) -> dict[str, Path]:
        """Return service -> its log file, of those that have one."""
        places = {"postgres": self.state / "postgres" / "postgres.log"}
        places |= {vendor: self.state / "vendors" / f"{vendor}.log" for vendor in VENDORS}
        places |= {path.stem: path for path in sorted((self.state / "tryton").glob("*.log"))}
        places |= {path.stem: path for path in sorted((self.state / "airflow").glob("*.log"))}
        return {service: path for service, path in places.items() if path.exists()}

    def _make_databases(self) -> None:
        """Make databases and roles one after the other: the file of passwords has one writer."""
        for database, owner in DATABASES.items():
            self.postgres.ensure_database(database, owner)
        for role in ("psflow_app", "psflow_finance", "psflow_pmo"):
            self.postgres.ensure_role(role)

    def _together(self, say: Callable[[str], None]) -> None:
        steps: dict[str, Callable[[], object]] = {
            "business database": lambda: migrate.upgrade(self.database_url("psflow")),
            "vendors": self.vendors.start,
            "tryton": self.tryton.start,
            "airflow": self.airflow.start,
        }
        with ThreadPoolExecutor(len(steps)) as pool:
            futures = {pool.submit(step): name for name, step in steps.items()}
            try:
                for future in as_completed(futures):
                    _result(futures[future], future)
                    say(futures[future])
            except BaseException:
                self._stop()  # ends what the other steps wait for, so that they end too
                raise

    def _stop(self) -> None:
        self.airflow.stop()
        self.vendors.stop()
        self.tryton.stop()
        end(marked(_MARK, str(self.state)))  # what a killed `up` had started and not yet noted
        self.postgres.stop()

    def _vendor(self, vendor: Vendor) -> dict[str, Any]:
        process = self.vendors.process(vendor)
        port = self.vendors.ports[vendor]
        return _row(process is not None, process.pid if process else None, f"http://127.0.0.1:{port}")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """
        Hold the folder's lock; the system drops it when the holder dies, however it dies.

        A moment later, when it was just starting a process: what it had forked holds the lock until it runs.
        """
        until = time.monotonic() + _LAST_BREATH_S
        with (self.state / "stack.lock").open("w") as file:
            while not _locks(file):
                if time.monotonic() > until:
                    raise ConfigurationError(
                        f"another psflow starts or stops the stack in {self.state}; wait for it, or end it with Ctrl-C"
                    )
                time.sleep(0.05)
            yield


def _locks(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _result(service: str, future: Future[object]) -> None:
    try:
        future.result()
    except PsflowError:
        raise
    except Exception as error:
        raise ConfigurationError(f"{service} did not start: {type(error).__name__}: {error}") from error


def _row(running: bool, pid: int | None, url: str) -> dict[str, Any]:
    return {"running": running, "pid": pid, "url": url, "healthy": running and _answers(url)}


def _without_login(postgres: Server) -> str:
    return f"postgresql://{postgres.url().rpartition('@')[2]}" if postgres.passwords else ""


def _answers(url: str) -> bool:
    where = urlsplit(url)
    try:
        socket.create_connection((where.hostname or "127.0.0.1", where.port or 5432), timeout=1).close()
    except OSError:
        return False
    return True
