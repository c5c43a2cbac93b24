"""What the operators of metrics choose when the run does not say, and what they refuse."""

from __future__ import annotations

import pytest

from psflow.errors import ConfigurationError
from psflow_airflow.operators.metrics import MasterDataGateOperator, MetricsPublishOperator
from tests.airflow.conftest import context
from tests.flows.conftest import Firm


def test_numbers_are_published_for_the_day_of_the_run_unless_it_names_one(firm: Firm, connections: None) -> None:
    firm.start()
    firm.log(1)
    firm.load_time()
    run_day = context()["dag_run"].run_after.date()
    MetricsPublishOperator(task_id="publish").execute(context())
    assert firm.store.value("select max(as_of) from finance.metric_published") == run_day
    firm.log(2, updated_at="2026-11-01T00:00:00Z")
    firm.load_time()
    MetricsPublishOperator(task_id="publish", as_of="2027-01-31").execute(context())
    assert str(firm.store.value("select max(as_of) from finance.metric_published")) == "2027-01-31"
    assert MasterDataGateOperator(task_id="master_data").execute(context())["master_data/customer"] == 0


@pytest.mark.usefixtures("connections")
def test_a_day_that_is_none_is_named() -> None:
    with pytest.raises(ConfigurationError, match="as_of '31.01.2027' is not YYYY-MM-DD; correct the run's conf"):
        MetricsPublishOperator(task_id="publish", as_of="31.01.2027").execute(context())
