"""An Airflow of the test session's own: its environment is set here, before anything imports Airflow."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import Firm, config, firm
from tests.systems.conftest import Sandbox, bamboohr_sandbox, float_sandbox, kantata_sandbox, salesforce_sandbox, serve

__all__ = [
    "bamboohr_sandbox", "config", "firm", "float_sandbox", "kantata_sandbox", "salesforce_sandbox", "serve",
]  # fmt: skip

ROOT = Path(__file__).parents[2]
HOME = Path(tempfile.mkdtemp(prefix="psflow-airflow-"))

for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
    del os.environ[name]
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "0",  # it would stop the alarm of pytest-timeout
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "GX_ANALYTICS_ENABLED": "false",
}


@pytest.fixture(scope="session", autouse=True)
def _home() -> Iterator[None]:
    yield
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def dags() -> dict[str, Any]:
    """Every DAG of the folder by its id."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(ROOT / "dags"))
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Airflow's metadata database, for tests that run DAGs."""
    from airflow.utils.db import initdb

    initdb()


def set_connection(monkeypatch: pytest.MonkeyPatch, conn_id: str, **fields: Any) -> None:
    """Define an Airflow connection as a firm does without a database: in the environment."""
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))


@pytest.fixture
def connections(
    monkeypatch: pytest.MonkeyPatch,
    app_url: str,
    salesforce_sandbox: Sandbox,
    kantata_sandbox: Sandbox,
    bamboohr_sandbox: Sandbox,
    float_sandbox: Sandbox,
) -> None:
    """All connections; behind Tryton's nobody listens."""
    monkeypatch.setenv("AIRFLOW_CONN_PSFLOW_DB", app_url)
    set_connection(
        monkeypatch, "psflow_salesforce", conn_type="psflow_salesforce", host=salesforce_sandbox.url, login="app",
        password="swordfish",
    )  # fmt: skip
    set_connection(
        monkeypatch, "psflow_kantata", conn_type="psflow_kantata", host=kantata_sandbox.url, password="swordfish"
    )
    set_connection(
        monkeypatch, "psflow_bamboohr", conn_type="psflow_bamboohr", host=bamboohr_sandbox.url, password="swordfish"
    )
    set_connection(
        monkeypatch, "psflow_float", conn_type="psflow_float", host=float_sandbox.url, password="swordfish",
        extra={"currency": "USD", "contact": "ops@meridian.test", "app_url": "https://f.test"},
    )  # fmt: skip
    set_connection(
        monkeypatch, "psflow_tryton", conn_type="psflow_tryton", host="http://127.0.0.1:9", login="psflow",
        password="swordfish", extra={"database": "books", "company": "Meridian"},
    )  # fmt: skip


def context(run_id: str = "manual", **more: Any) -> Any:
    """What Airflow hands a task, as far as our operators look."""
    import datetime as dt
    from types import SimpleNamespace

    run = SimpleNamespace(run_id=run_id, run_after=dt.datetime(2026, 11, 3, 6, tzinfo=dt.UTC))
    return {"dag_run": run, **more}


@pytest.fixture
def checked(firm: Firm, connections: None) -> tuple[Firm, str, str]:
    """A firm whose batch passed its gate and waits for the preparer: firm, batch id, content hash."""
    from psflow.flows import billing
    from tests.flows.conftest import PassGate

    firm.start()
    firm.log(1, 90)
    firm.load_time()
    batch = firm.freeze()
    assert batch is not None
    return firm, batch, str(billing.check(firm.store, firm.config, PassGate(), batch)["content_hash"])
