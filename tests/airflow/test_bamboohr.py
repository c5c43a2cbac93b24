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
from tests.systems.test_bamboohr import job


@pytest.mark.usefixtures("connections")
def test_people_who_employs_them_and_their_leave_come_into_core(firm: Firm, bamboohr_sandbox: Sandbox) -> None:
    today = firm.store.value("select current_date")
    person = {"id": "7", "employeeNumber": "1007", "firstName": "Ann", "lastName": "Lee", "hireDate": "2024-03-01"}
    away = {
        "id": 1, "employeeId": 7, "status": {"status": "approved"}, "amount": {"unit": "days", "amount": 0.5},
        "dates": {str(today): 0.5},
    }  # fmt: skip
    jobs = [job(7, "2024-03-01", "Meridian US"), job(7, "2026-10-01", "Meridian EU")]
    bamboohr_sandbox.load({"employees": [person], "job_info": jobs, "time_off_requests": [away]})
    counts = BambooHRPullOperator(task_id="pull").execute(context())
    assert (counts["resources"], counts["employed"], counts["absences"]) == (1, 1, 1)
    leave = firm.store.row("select resource_id, absent_on, hours, is_approved from core.absence")
    assert leave == {"resource_id": "R-1007", "absent_on": today, "hours": 4, "is_approved": True}
    assert _employers(firm) == [("R-1007", "2024-03-01", "Meridian US"), ("R-1007", "2026-10-01", "Meridian EU")]
    bamboohr_sandbox.load({"job_info": [jobs[1] | {"date": "2026-11-01"}]})
    BambooHRPullOperator(task_id="pull").execute(context())
    assert _employers(firm) == [("R-1007", "2024-03-01", "Meridian US"), ("R-1007", "2026-11-01", "Meridian EU")]


def _employers(firm: Firm) -> list[tuple[str, str, str]]:
    rows = firm.store.rows("select * from core.employment order by valid_from")
    return [(row["resource_id"], str(row["valid_from"]), row["employer"]) for row in rows]


def test_the_operators_example_is_a_dag_with_that_task() -> None:
    text = str(inspect.getdoc(BambooHRPullOperator)).split("::\n", 1)[1].split("\n:param")[0]
    held: dict[str, Any] = {}
    exec(textwrap.dedent(text), held)
    assert held["dag"].task_ids == ["pull"]
