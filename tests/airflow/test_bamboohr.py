"""BambooHR in a DAG: who is employed and when they are away comes into core, by the operator and its example."""

from __future__ import annotations

import inspect
import textwrap
from typing import Any

import pytest

from psflow_airflow.operators.bamboohr import BambooHRPullOperator
from tests.airflow.conftest import context
from tests.flows.conftest import Firm
from tests.systems.conftest import Sandbox


@pytest.mark.usefixtures("connections")
def test_people_and_their_leave_come_into_core(firm: Firm, bamboohr_sandbox: Sandbox) -> None:
    today = firm.store.value("select current_date")
    person = {"id": "7", "employeeNumber": "1007", "firstName": "Ann", "lastName": "Lee", "hireDate": "2024-03-01"}
    away = {
        "id": 1, "employeeId": 7, "status": {"status": "approved"}, "amount": {"unit": "days", "amount": 0.5},
        "dates": {str(today): 0.5},
    }  # fmt: skip
    bamboohr_sandbox.load({"employees": [person], "time_off_requests": [away]})
    counts = BambooHRPullOperator(task_id="pull").execute(context())
    assert (counts["resources"], counts["absences"]) == (1, 1)
    leave = firm.store.row("select resource_id, absent_on, hours, is_approved from core.absence")
    assert leave == {"resource_id": "R-1007", "absent_on": today, "hours": 4, "is_approved": True}


def test_the_operators_example_is_a_dag_with_that_task() -> None:
    text = str(inspect.getdoc(BambooHRPullOperator)).split("::\n", 1)[1].split("\n:param")[0]
    held: dict[str, Any] = {}
    exec(textwrap.dedent(text), held)
    assert held["dag"].task_ids == ["pull"]
