"""Where a record is at its vendor, and a run in Airflow."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any
from urllib.parse import quote, urlsplit

from psflow.config import Config
from psflow_airflow.provider import get_provider_info

log = logging.getLogger(__name__)
_KINDS = {"opportunity", "customer", "project", "invoice"}


class Vendors:
    """The adapters of one request, each made once; a system that cannot be opened has no links."""

    def __init__(self, policy: Config) -> None:
        self._policy = policy
        self._adapters: dict[str, Any] = {}

    def url(self, system: str, kind: str | None, external_id: str | None) -> str | None:
        """Return the address of a record's page, None when the system has none to offer."""
        if kind not in _KINDS or external_id is None:
            return None
        try:
            found = str(self._adapter(system).url(kind, external_id))
        except Exception as error:  # a link is a courtesy: whatever is wrong with a connection, the page is shown
            log.info("no link to %s: %s", system, type(error).__name__)
            return None
        return found if urlsplit(found).scheme in ("http", "https") else None

    def _adapter(self, system: str) -> Any:
        if system not in self._adapters:
            types = {t["connection-type"]: t["hook-class-name"] for t in get_provider_info()["connection-types"]}
            module, _, name = types[f"psflow_{system}"].rpartition(".")
            self._adapters[system] = getattr(import_module(module), name)().adapter(self._policy)
        return self._adapters[system]


def run(dag_id: str, run_id: str) -> str:
    """Return the path of a run in Airflow's own pages."""
    return f"/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
