"""The plugin that Airflow finds by entry point: the pages, an entry in its navigation, a tab on each DAG and run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


async def pages(scope: Scope, receive: Receive, send: Send) -> None:
    """Hand a request to the pages. Every process of Airflow loads plugins; only the api-server should load pages."""
    from psflow_airflow.pages.app import app

    await app(scope, receive, send)


def _view(destination: str, url_route: str, href: str) -> dict[str, Any]:
    return {"name": "psflow", "destination": destination, "url_route": url_route, "href": href}


_APPS: list[Any] = [{"name": "psflow", "app": pages, "url_prefix": "/psflow"}]
_VIEWS: list[Any] = [
    _view("nav", "psflow", "/psflow/engagements") | {"nav_top_level": True},
    _view("dag", "psflow-dag", "/psflow/dag/{DAG_ID}"),
    _view("dag_run", "psflow-run", "/psflow/run/{DAG_ID}/{RUN_ID}"),
]


class PsflowPlugin(AirflowPlugin):
    """Registered once; `plugins/.airflowignore` keeps Airflow from importing this folder file by file as well."""

    name = "psflow"
    fastapi_apps = _APPS
    external_views = _VIEWS
