"""What guards the pages, as it is built: a route without Airflow's authentication is found before anybody asks it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute


def unguarded(app: FastAPI) -> list[str]:
    """Return every route that anybody reaches: one without Airflow's user, a mount, a web socket, a plain route."""
    from airflow.api_fastapi.core_api.security import get_user

    def asks_who(dependant: Any) -> Iterator[Any]:
        yield dependant.call
        for inner in dependant.dependencies:
            yield from asks_who(inner)

    return [
        str(getattr(route, "path", route))
        for route in app.routes
        if not isinstance(route, APIRoute) or get_user not in set(asks_who(route.dependant))
    ]


def test_every_route_of_the_plugin_asks_airflow_who_it_is() -> None:
    from psflow_airflow.pages.app import app

    assert len(app.routes) > 10
    assert unguarded(app) == []


@pytest.mark.parametrize("planted", ["route", "router", "mount", "documentation", "web socket"])
def test_a_bare_route_is_found(planted: str) -> None:
    from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
    from airflow.api_fastapi.core_api.security import requires_access_view

    guard = Depends(requires_access_view(AccessView.WEBSITE))
    app = FastAPI(openapi_url="/openapi.json" if planted == "documentation" else None, docs_url=None, redoc_url=None)
    app.get("/guarded", dependencies=[guard])(lambda: "x")
    assert "/guarded" not in unguarded(app)
    router = APIRouter()
    router.get("/bare")(lambda: "x")
    if planted == "route":
        app.get("/bare")(lambda: "x")
    elif planted == "router":
        app.include_router(router)
    elif planted == "mount":
        app.mount("/bare", FastAPI())
    elif planted == "web socket":
        app.websocket("/bare")(lambda: None)
    assert unguarded(app) == ["/openapi.json" if planted == "documentation" else "/bare"]


def test_every_change_asks_whether_the_user_may_change_something() -> None:
    from psflow_airflow.pages import access
    from psflow_airflow.pages.app import app

    changing = [r for r in app.routes if isinstance(r, APIRoute) and r.methods - {"GET", "HEAD"}]
    assert changing
    for route in changing:
        asked = {inner.call for inner in route.dependant.dependencies}
        assert {access.writer, access.change} <= asked, f"{route.path} takes a change from anywhere or anybody"
