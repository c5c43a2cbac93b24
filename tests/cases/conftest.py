"""The firm's acceptance cases: `cases.json` here, or the file that PSFLOW_CASES names."""

from __future__ import annotations

import pytest

from psflow.config import Config
from psflow.store.connection import Store
from tests.cases.office import Office
from tests.flows.conftest import Ledger
from tests.flows.conftest import config as _config

config = _config


@pytest.fixture
def office(store: Store, config: Config, admin_url: str) -> Office:
    return Office(store, config, Ledger(config.systems["tryton"]), admin_url)
