"""A PostgreSQL server, whoever runs it: its URLs, and the roles and databases that the stack makes on it."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from psflow.errors import ConfigurationError
from psflow.sandbox import postgres_wheel
from psflow.sandbox.processes import keep, kept

OWN_SERVER = "PSFLOW_DATABASE_URL"
_NEW_DATABASE = "TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"


class Server:
    """A PostgreSQL server somebody else runs. The role of its URL needs CREATEDB and CREATEROLE."""

    def __init__(self, folder: Path, address: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.address = address
        self.bin = postgres_wheel.installed() / "bin"

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
        """Make a database and the role that owns it (see `ensure_role`), unless they exist; nobody else connects."""
        self.ensure_role(owner)
        try:
            with self._connect() as db:
                if not db.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                    new = sql.SQL("CREATE DATABASE {} OWNER {} " + _NEW_DATABASE)
                    db.execute(new.format(sql.Identifier(name), sql.Identifier(owner)))
                    keep(self.folder / "databases.json", sorted({*self._databases, name}))
                if self._made_here(name):
                    db.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
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

    def copy_database(self, source: str, name: str, owner: str) -> None:
        """Make a database as a copy of one that nobody uses now, in place of one of that name that was made here."""
        self.drop_database(name)
        names = {"name": sql.Identifier(name), "source": sql.Identifier(source), "owner": sql.Identifier(owner)}
        with self._connect() as db:
            db.execute(sql.SQL("CREATE DATABASE {name} OWNER {owner} TEMPLATE {source}").format(**names))
        keep(self.folder / "databases.json", sorted({*self._databases, name}))

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


def _name(login: str) -> str:
    return unquote(login.partition(":")[0])
