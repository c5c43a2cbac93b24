"""docker-compose.yaml and the Dockerfile: read, not run. What the guides warn of is what is looked for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from ruamel.yaml import YAML

from psflow.sandbox.postgres import _LOCALE, Postgres

PROJECT = Path(__file__).parents[2]
TEXT = (PROJECT / "docker-compose.yaml").read_text()
COMPOSE: dict[str, Any] = YAML(typ="safe").load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
AIRFLOW = {"api-server", "scheduler", "dag-processor", "triggerer", "worker", "airflow-init"}


def environment(service: str) -> dict[str, str]:
    found: dict[str, str] = SERVICES[service].get("environment", {})
    return found


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_watched_or_runs_once(name: str) -> None:
    service = SERVICES[name]
    once = service.get("restart") == "no"
    assert once != ("healthcheck" in service)
    for other, wanted in service.get("depends_on", {}).items():
        ran_once = SERVICES[other].get("restart") == "no"
        assert wanted == {"condition": "service_completed_successfully" if ran_once else "service_healthy"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_secret_comes_from_the_environment_and_must_be_set(name: str) -> None:
    for key, value in environment(name).items():
        if re.search("PASS|SECRET|KEY|TOKEN", key) or key in {"AIRFLOW", "OWNER", "APP", "FINANCE"}:
            assert re.fullmatch(r"\$\{\w+:\?[^}]*\}", value), f"{name}: {key}"
        if "://" in str(value) and (login := urlsplit(str(value)).netloc.rpartition("@")[0]):
            assert re.fullmatch(r"\w*:\$\{\w+:\?\}", login), f"{name}: {key}"
    command = " ".join(SERVICES[name].get("command", []))
    assert re.findall(r"(?:--password|--requirepass) (\S+)", command) in (
        [],
        ['"$$ADMIN_PASSWORD"'],
        ['"$$REDIS_PASSWORD"'],
    )


@pytest.mark.parametrize("name", sorted(AIRFLOW))
def test_the_parts_of_airflow_find_each_other(name: str) -> None:
    env = environment(name)
    assert env["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert env["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://api-server:8080/execution/"
    assert env["AIRFLOW__CELERY__BROKER_URL"].startswith("redis://:${REDIS_PASSWORD:?}@redis:")
    assert env["AIRFLOW__CELERY__RESULT_BACKEND"].startswith("db+postgresql+psycopg2://airflow:")
    assert env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].startswith("postgresql+psycopg2://airflow:")
    assert {"AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__CORE__FERNET_KEY"} <= set(env)


def test_the_database_sorts_as_in_the_local_stack() -> None:
    assert set(_LOCALE.split()) <= set(environment("postgres")["POSTGRES_INITDB_ARGS"].split())
    assert SERVICES["postgres"]["image"] == "postgres:18"
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]


def test_the_one_shots_make_databases_that_the_other_services_can_log_in_to(place: Path) -> None:
    server = Postgres(place / "postgres", durable=False)
    server.start()
    try:
        login = urlsplit(server.url())
        secret = {key: f"{key.lower()}0secret" for key in ("AIRFLOW", "OWNER", "APP", "FINANCE", "PMO")}
        where = {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(login.port),
            "PGUSER": "postgres",
            "PGPASSWORD": login.password or "",
        }
        for _ in range(2):
            env = os.environ | where | secret | {"PATH": f"{server.bin}:{os.environ['PATH']}"}
            subprocess.run(SERVICES["databases"]["command"], env=env, check=True, capture_output=True)
            url = f"postgresql://psflow:{secret['OWNER']}@127.0.0.1:{login.port}/psflow"
            migrate = [sys.executable, "-m", "psflow.cli", "migrate"]
            subprocess.run(migrate, env=os.environ | {"PSFLOW_MIGRATE_URL": url}, check=True, capture_output=True)
        for role, key in (("psflow_app", "APP"), ("psflow_finance", "FINANCE"), ("psflow_pmo", "PMO")):
            psycopg.connect(f"postgresql://{role}:{secret[key]}@127.0.0.1:{login.port}/psflow").close()
        psycopg.connect(f"postgresql://airflow:{secret['AIRFLOW']}@127.0.0.1:{login.port}/airflow").close()
    finally:
        server.remove()


def test_only_the_ui_is_published_and_only_to_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"api-server": ["127.0.0.1:8080:8080"]}


def test_the_business_database_is_migrated_as_its_owner_and_used_as_another() -> None:
    assert SERVICES["psflow-migrate"]["command"] == ["psflow", "migrate"]
    assert environment("psflow-migrate")["PSFLOW_MIGRATE_URL"].startswith("postgresql://psflow:")
    assert environment("worker")["AIRFLOW_CONN_PSFLOW_DB"].startswith("postgresql://psflow_app:")
    waits = {name for name, service in SERVICES.items() if "psflow-migrate" in service.get("depends_on", {})}
    assert waits == {"api-server", "scheduler", "dag-processor", "triggerer", "worker"}


def test_the_worker_waits_for_the_server_it_reports_to() -> None:
    assert SERVICES["worker"]["depends_on"]["api-server"] == {"condition": "service_healthy"}
    assert SERVICES["worker"]["command"] == ["airflow", "celery", "worker"]


def test_the_image_holds_exactly_the_lock_and_copies_nothing_that_is_ignored() -> None:
    lines = (PROJECT / "Dockerfile").read_text().splitlines()
    assert "FROM python:3.12-slim" in lines
    assert any("--require-hashes -r requirements.lock" in line for line in lines)
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    copied = {word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]}
    assert {f"!{name}" for name in copied} == {line for line in ignored if line.startswith("!")}
    assert not re.search(r"://|--[a-z-]*(index|links|trusted)", "\n".join(lines))
    assert re.search("^celery==5\\.6\\.", (PROJECT / "requirements.lock").read_text(), re.MULTILINE)
