"""The firm's acceptance cases: `cases.json` here, or the file that PSFLOW_CASES names."""

from __future__ import annotations

import pytest

from psflow.config import Config
from psflow.store.connection import Store
from tests.cases.office import Office
from tests.flows import conftest as flows

config, firm, serve = flows.config, flows.firm, flows.serve
salesforce_sandbox, kantata_sandbox = flows.salesforce_sandbox, flows.kantata_sandbox


@pytest.fixture
def office(store: Store, config: Config, admin_url: str, request: pytest.FixtureRequest) -> Office:
    erp = flows.Ledger(config.systems["tryton"])
    return Office(store, config, erp, admin_url, lambda: request.getfixturevalue("firm"))
