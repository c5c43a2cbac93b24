"""The plugin that Airflow finds by entry point. It adds no page and no route yet."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin


class PsflowPlugin(AirflowPlugin):
    """Registered once; `plugins/.airflowignore` keeps Airflow from importing this folder file by file as well."""

    name = "psflow"
