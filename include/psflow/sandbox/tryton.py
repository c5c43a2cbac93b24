"""
Tryton 8.2 as the firm's ERP: a database, one server process, and a proxy before it that can fail.

The database is built once (40 s), dumped beside its passwords, and restored wherever it is missing; a comment on it
says that it is whole. Every process carries the folder in its environment, so a killed start leaves nothing behind
that `stop` does not find.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from psflow.errors import ConfigurationError, Rejected, TransientError
from psflow.sandbox import fault_proxy, tryton_environment, tryton_seed
from psflow.sandbox.meridian import exchange
from psflow.sandbox.postgres import Server
from psflow.sandbox.processes import COMPONENT, end, free_port, keep, kept, last_line, leaders, marked
from psflow.systems.transport import ONCE, Transport
from psflow.systems.tryton.rpc import Rpc

_MARK = "PSFLOW_TRYTON"
_ADMIN = "admin"
OWNER = "psflow_tryton"  # role that owns the database
_UNFINISHED = "psflow: unfinished"  # as a comment on the database: a build or restore that did not reach its end
# the install makes millions of objects that all stay: collecting garbage would cost it an eighth of its time
_RUN = "import gc, runpy, sys; gc.disable(); del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
_VERSION = {"id": 1, "method": "common.server.version", "params": []}


class TrytonServer:
    """
    Tryton over `folder` (ports, passwords, logs) and a database on `postgres`.

    `cache` keeps what is built once, environment and dump; without it that is `cache/tryton` beside the folder.
    """

    company = tryton_seed.COMPANIES[0].name
    login = tryton_seed.LOGIN

    def __init__(self, folder: Path, postgres: Server, cache: Path | None = None, database: str = "tryton") -> None:
        self.database = database
        self.folder = folder.resolve()
        self.postgres = postgres
        self.cache = (cache or folder.parent / "cache" / "tryton").resolve()
        for place in (self.folder, self.cache):
            place.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "tryton.log"
        self.seconds: dict[str, float] = {}

    @property
    def url(self) -> str:
        """Base address for an adapter: the proxy's."""
        return f"http://127.0.0.1:{self._ports['proxy']}"

    @property
    def password(self) -> str:
        """Password of psflow's login, which is no administrator."""
        return str(self._passwords[self.login])

    @property
    def admin(self) -> tuple[str, str]:
        """Login and password of the administrator."""
        return _ADMIN, str(self._passwords[_ADMIN])

    @property
    def running(self) -> bool:
        """Whether server and proxy both live."""
        return {"server", "proxy"} <= leaders(_MARK, str(self.folder)).keys()

    @property
    def built(self) -> bool:
        """Whether a first start needs no build: environment and dump of this version are in the cache."""
        return (self._python.parents[1] / "whole").exists() and self._dump.exists()

    def start(self, wait_s: float = 60) -> None:
        """
        Start unless running, the first time with environment and database, and wait until it answers.

        `seconds` then says what took how long. Raises ConfigurationError naming the log.
        """
        if self.running:
            return
        self.stop()
        with self._timed("environment"), self._locked():
            tryton_environment.ensure(self.cache, self._environ("build"))
        self._configure()
        if not self._is_whole():
            with self._locked():
                self._fill_database(wait_s)
        with self._timed("start"):
            self._serve(wait_s)

    def stop(self) -> None:
        """Stop server and proxy, and whatever a killed start left."""
        end(marked(_MARK, str(self.folder)))

    def arm(self, match: str, fault: str, times: int = 1, hang_s: float = 10, skip: int = 0) -> None:
        """Arm a fault (`fault_proxy.FAULTS`) for the next calls of a method, such as `model.account.invoice.create`."""
        fault_proxy.arm(self._faults, match, fault, times, hang_s, skip)

    def plan_faults(self, seed: str, burst: int = 0) -> dict[str, int]:
        """Arm every fault (`weather.plan`); returns fault -> how often."""
        return fault_proxy.plan(self._faults, f"tryton:{seed}", burst=burst)

    def reset_faults(self) -> None:
        """Forget armed faults and counters."""
        fault_proxy.reset(self._faults)

    def state(self) -> dict[str, Any]:
        """Return requests forwarded, faults injected by kind, and how many struck where invoices are made."""
        return fault_proxy.state(self._faults)

    # -- processes

    def _serve(self, wait_s: float) -> None:
        """Start what does not run and wait until the server answers through the proxy."""
        have = leaders(_MARK, str(self.folder))
        if not have:
            keep(self.folder / "ports.json", {name: free_port(port) for name, port in self._ports.items()})
        server, proxy = self._ports["server"], self._ports["proxy"]
        commands = {
            "server": [
                self._python, "-m", "gunicorn", "trytond.application:app", "--bind", f"127.0.0.1:{server}",
                "--workers", 1, "--threads", 8, "--timeout", 300, "--graceful-timeout", 5, "--no-control-socket",
            ],
            "proxy": [
                sys.executable, "-m", "psflow.sandbox.fault_proxy",
                "--port", proxy, "--upstream", server, "--file", self._faults,
            ],
        }  # fmt: skip
        started = [self._spawn(part, command) for part, command in commands.items() if part not in have]
        self._await(time.monotonic() + wait_s, started)

    def _spawn(self, part: str, command: list[Any]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                start_new_session=True, env=self._environ(part),
            )  # fmt: skip

    def _await(self, until: float, started: list[subprocess.Popen[bytes]]) -> None:
        """Wait for an answer, as long as what was started lives; its environment shows only a moment after."""
        transport = Transport("tryton", self.url, 10, patience=ONCE)
        while time.monotonic() < until and all(child.poll() is None for child in started):
            try:
                transport.read("POST", "/rpc/", json=_VERSION)
                return
            except (TransientError, Rejected):
                time.sleep(0.1)
        raise ConfigurationError(f"Tryton did not start; see {self.log}; its last line: {last_line(self.log)}")

    def _environ(self, part: str) -> dict[str, str]:
        foreign = ("PG", "TRYTON", "PYTHON", "GUNICORN", "VIRTUAL_ENV")
        plain = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        ours = {"TRYTOND_CONFIG": str(self._config), "TRYTOND_DATABASE_NAMES": self.database}
        return plain | ours | {_MARK: str(self.folder), COMPONENT: part}

    @property
    def _ports(self) -> dict[str, int]:
        found: dict[str, int] = kept(self.folder / "ports.json", lambda: {n: free_port() for n in ("server", "proxy")})
        return found

    @property
    def _python(self) -> Path:
        return tryton_environment.python(self.cache)

    @property
    def _faults(self) -> Path:
        return self.folder / "faults.sqlite"

    # -- database

    @property
    def _config(self) -> Path:
        return self.folder / "trytond.conf"

    @property
    def _dump(self) -> Path:
        made_of = (tryton_environment.LOCK, Path(tryton_seed.__file__), Path(exchange.__file__))
        return self.cache / f"{tryton_environment.digest(*made_of)}.dump"

    @property
    def _passwords(self) -> dict[str, str]:
        found: dict[str, str] = kept(self.folder / "passwords.json")
        return found

    def _configure(self) -> None:
        """Write the configuration, the database's password in it, for its owner only; the port may have moved."""
        self.postgres.ensure_database(self.database, OWNER)
        files = self.folder / "files"
        files.mkdir(exist_ok=True)
        text = f"[database]\nuri = {self.postgres.url('', OWNER)}\npath = {files}\n"
        text += "[queue]\nworker = True\n"  # a posted invoice would wait to be printed; nobody prints here
        _write_secret(self._config, text)

    def _is_whole(self) -> bool:
        """Whether the database is there to be used. Raises ConfigurationError when it is somebody else's."""
        comment = self._comment()
        if comment is None and not self._is_empty():
            raise ConfigurationError(
                f"database {self.database!r} on port {self.postgres.port} was not made by psflow; rename it, or unset "
                "PSFLOW_DATABASE_URL"
            )
        if comment in (None, _UNFINISHED):
            return False
        if self.login not in self._passwords:
            raise ConfigurationError(
                f"database {self.database!r} is there but {self.folder / 'passwords.json'} is not: nobody can log in; "
                "drop the database to have it made again"
            )
        return True

    def _is_empty(self) -> bool:
        tables = "SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace LIMIT 1"
        with psycopg.connect(self.postgres.url(self.database, OWNER)) as db:
            return db.execute(tables).fetchone() is None

    def _comment(self, text: str | None = None) -> str | None:
        """Return the comment on the database, after writing it when given."""
        name, kept_as = sql.Identifier(self.database), "SELECT shobj_description(oid, 'pg_database') FROM pg_database"
        with psycopg.connect(self.postgres.url("postgres"), autocommit=True) as db:
            if text is not None:
                db.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, sql.Literal(text)))
            row = db.execute(f"{kept_as} WHERE datname = %s", (self.database,)).fetchone()
        return row[0] if row else None

    def _fill_database(self, wait_s: float) -> None:
        """Restore the dump of this lock and seed, or build the database and dump it."""
        with psycopg.connect(self.postgres.url("postgres"), autocommit=True) as db:
            db.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(self.database)))
        self.postgres.ensure_database(self.database, OWNER)
        self._comment(_UNFINISHED)
        if (dump := self._dump).exists():
            with self._timed("restore"):
                keep(self.folder / "passwords.json", kept(dump.with_suffix(".json")))
                self._tool("pg_restore", "--no-owner", "--exit-on-error", "-d", self.database, dump)
        else:
            with self._timed("build"):
                self._build(wait_s)
            with self._timed("dump"):
                draft = dump.with_suffix(".new")
                self._tool("pg_dump", "-Fc", "--no-owner", "-f", draft)
                keep(dump.with_suffix(".json"), self._passwords)
                draft.rename(dump)
        self._comment(f"psflow {dump.stem}")

    def _build(self, wait_s: float) -> None:
        passwords = {name: secrets.token_urlsafe(18) for name in (_ADMIN, self.login)}
        keep(self.folder / "passwords.json", passwords)
        secret = self.folder / "secret"
        _write_secret(secret, passwords[_ADMIN])
        admin = [self._python, "-c", _RUN, self._python.with_name("trytond-admin")]
        # in one call: a later one without --administrator would take the flag away
        options = ["--activate-dependencies", "--email", "admin@localhost", "--administrator", "-d", self.database]
        try:
            update = ["-u", *tryton_seed.MODULES]
            environ = self._environ("build") | {"TRYTONPASSFILE": str(secret)}
            words = [*admin, "-c", self._config, *options, *update]
            tryton_environment.run("build the ERP", words, self.log, environ)
        finally:
            secret.unlink()
        self._serve(wait_s)
        address = f"http://127.0.0.1:{self._ports['server']}"
        transport = Transport("tryton", address, 60, patience=ONCE)  # the seed makes records by what is called a read
        tryton_seed.seed(Rpc(transport, self.database, *self.admin), passwords[self.login])

    def _tool(self, name: str, *options: Any) -> None:
        """Run a program of PostgreSQL as the database's owner; where and who goes by the environment."""
        where = conninfo_to_dict(self.postgres.url(self.database, OWNER))
        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
        names |= {"sslmode": "PGSSLMODE"}
        environ = self._environ("build") | {names[key]: str(value) for key, value in where.items() if key in names}
        tryton_environment.run(f"run {name}", [self.postgres.bin / name, *options], self.log, environ)

    # -- both

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Two stacks that share a cache build one after the other; the second finds what the first made."""
        with (self.cache / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[step] = round(time.monotonic() - began, 1)


def _write_secret(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
