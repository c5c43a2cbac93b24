"""A browser for the pages: signed in by Airflow's own authentication, as somebody or as nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

USERS = {"paula": "VIEWER", "fiona": "USER", "frank": "USER", "petra": "USER", "engineer": "OP", "stranger": "USER"}
Browse = Callable[..., TestClient]


@pytest.fixture(scope="session")
def manager(airflow_db: None) -> Any:
    """Airflow's own authentication, as the api-server starts it."""
    from airflow.api_fastapi.app import init_auth_manager

    return init_auth_manager()


@pytest.fixture
def browse(manager: Any, connections: None) -> Iterator[Browse]:
    """Return a browser that is signed in as somebody, or as nobody."""
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    from psflow_airflow.pages.app import app

    def sign_in(user: str | None) -> TestClient:
        client = TestClient(app, root_path="/psflow", follow_redirects=False)
        client.headers["Accept"] = "text/html"
        if user:
            token = manager.generate_jwt(SimpleAuthManagerUser(username=user, role=USERS[user]))
            client.cookies.set("_token", token)
        return client

    yield sign_in
