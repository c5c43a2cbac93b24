"""
Airflow 3.3 as four processes of one state folder: api-server, scheduler, dag-processor, triggerer.

Every process, and every process those start, carries the folder in its environment. So the stack is found and ended
by that mark alone: no pid files, and a killed `psflow up` leaves nothing that `psflow down` does not find.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psycopg

from psflow.errors import ConfigurationError, TransientError
from psflow.sandbox.airflow_api import AirflowApi, since
from psflow.sandbox.postgres import Server
from psflow.sandbox.processes import COMPONENT, end, free_port, keep, kept, last_line, leaders, marked

COMPONENTS = {
    "api-server": ["--workers", "1"],
    "scheduler": ["--skip-serve-logs"],  # the api-server reads the same disk; the log servers listen on all addresses
    "dag-processor": [],
    "triggerer": ["--skip-serve-logs"],
}
USERS = {  # login -> role
    "admin": "admin", "engineer": "op", "paula": "viewer", "petra": "user", "fiona": "user", "frank": "user",
    "carla": "user",
}  # fmt: skip
_HOME = "AIRFLOW_HOME"
_UNUSED = "airflow_unused"  # the metadata database as it was when it was new


class Airflow:
    """Airflow over `home` (its state), the DAGs and plugins of `project`, and a database on `postgres`."""

    def __init__(self, home: Path, postgres: Server, project: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home.resolve()
        self.postgres = postgres
        self.project = project
        self.follows_schedules = True
        self.patience_s = 0.0  # how long `api` waits for an answer while parts of this Airflow are down

    @property
    def url(self) -> str:
        """Address of the UI and the API."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def passwords(self) -> dict[str, str]:
        """Login -> password, generated once."""
        found: dict[str, str] = kept(self.home / "passwords.json", lambda: {u: secrets.token_urlsafe(9) for u in USERS})
        return found

    def api(self, user: str = "admin") -> AirflowApi:
        """Return the REST API as one of USERS."""
        return AirflowApi(self.url, user, self.passwords[user], patience_s=self.patience_s)

    def log(self, component: str) -> Path:
        """Return the file that a component's output goes to."""
        return self.home / f"{component}.log"

    def components(self) -> dict[str, int]:
        """Return component -> pid of those that run."""
        return leaders(_HOME, str(self.home))

    def start(self, wait_s: float = 240) -> None:
        """
        Start what does not run; return when all components beat and every DAG file is parsed.

        Raises ConfigurationError naming the log of a component that ended, or the DAG file that does not import.
        """
        self.migrate()
        began, started = _EVER, dict[str, subprocess.Popen[bytes]]()
        if len(self.components()) < len(COMPONENTS):
            self.stop()  # half an Airflow: a leftover of something killed
            keep(self.home / "port.json", _first_free(self._port))
            began, started = datetime.now(UTC), {name: self._spawn(name) for name in COMPONENTS}
        self._await(started, began, time.monotonic() + wait_s)

    def revive(self) -> None:
        """
        Start each component that does not run, beside those that do.

        What a dead one started ends first: workers of a killed scheduler hold its sessions, with the locks on its runs.
        """
        for name in COMPONENTS.keys() - self.components().keys():
            end(marked(_HOME, str(self.home), name), signal.SIGKILL)
            self._spawn(name)

    def stop(self, wait_s: float = 8) -> None:
        """End every process of this home, workers and tasks too: TERM, and after `wait_s` seconds KILL."""
        end(marked(_HOME, str(self.home)), signal.SIGTERM, wait_s)
        end(marked(_HOME, str(self.home)), signal.SIGKILL)  # what a component started while it was ending

    def forget_logs(self) -> None:
        """Delete the task logs: runs of a new database may have the names of old ones."""
        shutil.rmtree(self.home / "logs", ignore_errors=True)

    def healthy(self) -> bool:
        """Whether every component beats."""
        try:
            return all(part["status"] == "healthy" for part in self.api().health().values())
        except TransientError:
            return False

    def migrate(self) -> None:
        """Bring the metadata database to this Airflow unless it is there; a new one is a copy of the first one made."""
        self.postgres.ensure_database("airflow", "airflow")
        stamp = self.home / "migrated.json"
        release, revision = version("apache-airflow-core"), self._revision()
        was = kept(stamp, list)
        if revision is None and was[:1] == [release] and self._revision(_UNUSED) == was[1]:
            self.postgres.copy_database(_UNUSED, "airflow", "airflow")
            return
        if revision and was == [release, revision]:
            return
        with (self.home / "migrate.log").open("ab") as log:
            done = subprocess.run(
                [*_AIRFLOW, "db", "migrate"], env=self.environment(), stdout=log, stderr=log, check=False
            )
        if done.returncode:
            raise ConfigurationError(f"airflow db migrate failed; see {self.home / 'migrate.log'}")
        keep(stamp, [release, self._revision()])
        if revision is None:
            self.postgres.copy_database("airflow", _UNUSED, "airflow")

    def environment(self) -> dict[str, str]:
        """Return the whole environment of Airflow's processes; inherited Airflow and libpq settings are left out."""
        metadata = self.postgres.url("airflow", "airflow").replace("postgresql://", "postgresql+psycopg2://")
        keys = kept(self.home / "keys.json", _new_keys)
        own = {
            _HOME: str(self.home),
            "GX_ANALYTICS_ENABLED": "false",
            "PYTHONUNBUFFERED": "1",
            "SPT_NOENV": "1",  # or a changed process title would overwrite the environment that marks the process
            "AIRFLOW__API_AUTH__JWT_SECRET": keys["jwt"],
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self._port),
            "AIRFLOW__API__SECRET_KEY": keys["api"],
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.project / "dags"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__FERNET_KEY": keys["fernet"],
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__MAX_ACTIVE_RUNS_PER_DAG": "32",  # or the last deals would wait for the first to end
            "AIRFLOW__CORE__MP_START_METHOD": "fork",
            "AIRFLOW__CORE__PARALLELISM": "6",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(self.project / "plugins"),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.home / "passwords.json"),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in USERS.items()),
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",  # here alone: the api-server calls any host that is typed
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",  # a file that changed is parsed at once
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": _for_asyncpg(metadata),
            # whoever dies here is missed within half a minute
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "20",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": str(self.follows_schedules),
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        }
        return {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "PG", "_AIRFLOW"))} | own

    @property
    def _port(self) -> int:
        found: int = kept(self.home / "port.json", lambda: _first_free(8080))
        return found

    def _revision(self, database: str = "airflow") -> str | None:
        try:
            with psycopg.connect(self.postgres.url(database, "airflow")) as db:
                found = db.execute("SELECT version_num FROM alembic_version").fetchone()
        except (psycopg.errors.UndefinedTable, psycopg.OperationalError):  # empty, or not there
            return None
        return str(found[0]) if found else None

    def _spawn(self, name: str) -> subprocess.Popen[bytes]:
        airflow = _WARM if name == "scheduler" else _AIRFLOW
        with self.log(name).open("ab") as log:
            return subprocess.Popen(
                [*airflow, name, *COMPONENTS[name]],
                env=self.environment() | {COMPONENT: name},
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _await(self, started: dict[str, subprocess.Popen[bytes]], began: datetime, until: float) -> None:
        waiting = "its first answer"
        while time.monotonic() < until:
            for name, process in started.items():
                if process.poll() is not None:
                    why = f"see {self.log(name)}; its last line: {last_line(self.log(name))}"
                    raise ConfigurationError(f"Airflow's {name} ended with {process.returncode}; {why}")
            try:
                if not (waiting := self._lacking(began)):
                    return
            except TransientError:
                pass
            time.sleep(0.25)
        raise ConfigurationError(
            f"Airflow did not get ready, it still waited for {waiting}; see the logs in {self.home}"
        )

    def _lacking(self, began: datetime) -> str:
        """Return what is still missing; a beat or a parse from before `began` is an earlier life's."""
        api = self.api()
        for name, part in api.health().items():
            beat = next((v for k, v in part.items() if k.endswith("heartbeat")), began.isoformat())
            if part["status"] != "healthy" or not since(beat, began):
                return f"a heartbeat of the {name}"
        for error in api.import_errors():
            if began > _EVER and since(error["timestamp"], began):  # one that ran before has said so in its UI
                raise ConfigurationError(f"dags/{error['filename']} does not import: {error['stack_trace'].strip()}")
        parsed = {dag["relative_fileloc"] for dag in api.dags() if since(dag["last_parsed_time"], began)}
        return ", ".join(sorted(self._dag_files() - parsed))

    def _dag_files(self) -> set[str]:
        return {path.name for path in (self.project / "dags").glob("*.py")}


_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_AIRFLOW = [sys.executable, "-m", "airflow"]
_WARM = [  # tasks are forks of the scheduler: what it has imported costs none of them its seconds; never our own code
    sys.executable, "-c",
    "import great_expectations, airflow.providers.http.hooks.http, airflow.providers.postgres.hooks.postgres\n"
    "from airflow.__main__ import main\nmain()",
]  # fmt: skip


def _first_free(wanted: int) -> int:
    """Return `wanted` or the next port that nobody listens on: an address that people can remember."""
    return next((port for port in range(wanted, wanted + 50) if free_port(port) == port), free_port())


def _new_keys() -> dict[str, str]:
    return {
        "fernet": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "jwt": secrets.token_urlsafe(64),
        "api": secrets.token_urlsafe(32),
    }


def _for_asyncpg(url: str) -> str:
    """Asyncpg calls libpq's `sslmode` `ssl`; the user's own server may ask for it."""
    return url.replace("+psycopg2", "+asyncpg").replace("sslmode=", "ssl=")
