"""A migrated business database for each test: a copy of one template made once a session."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from psflow import config
from psflow.config import Config
from psflow.sandbox.postgres import Server
from psflow.store.connection import Store
from psflow.warehouse import migrate

_NUMBER = itertools.count(1)
REGION = "eu-west"
AUDIT_KEY = os.environ.setdefault("PSFLOW_AUDIT_KEY", "of-tests-" + "0123456789abcdef" * 4)  # also of what they start


@pytest.fixture(scope="session")
def owner(postgres: Server) -> Iterator[Callable[[str], object]]:
    """Runs a statement as the owner of the server."""
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        yield lambda statement: connection.execute(sql.SQL(statement))


@pytest.fixture(scope="session")
def template(postgres: Server, owner: Callable[[str], object]) -> Iterator[str]:
    """Name of the migrated template database."""
    name = f"psflow_template_{os.getpid()}"
    owner(f"create database {name}")
    migrate.upgrade(postgres.url(name))
    yield name
    owner(f"drop database {name} with (force)")


@pytest.fixture
def admin_url(postgres: Server, owner: Callable[[str], object], template: str) -> Iterator[str]:
    """URL of a fresh business database, as its owner."""
    name = f"psflow_test_{os.getpid()}_{next(_NUMBER)}"
    owner(f"create database {name} template {template} strategy file_copy")
    yield postgres.url(name)
    owner(f"drop database {name} with (force)")


@pytest.fixture
def app_url(admin_url: str) -> str:
    """URL of the same database as the role the flows run as."""
    return as_role(admin_url, "psflow_app")


@pytest.fixture
def store(app_url: str) -> Iterator[Store]:
    """An open store, as the role the flows run as."""
    with Store.open(app_url, REGION) as opened:
        yield opened


@cache
def shipped() -> Config:
    """Return the policy that is shipped, read once: it is frozen, and reading it takes longer than many a test."""
    return config.load(Path(__file__).parents[1] / "psflow.yaml")


def as_role(url: str, role: str) -> str:
    """Return the URL with which everything runs as `role`."""
    return f"{url}?options=-c%20role%3D{role}"
