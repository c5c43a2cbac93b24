"""
### Time and expense

Daily: time entries that changed since the last load come in, and a gate lets the good ones on to billing. Owner: PMO.

A green run may hold entries: `gate` returns how many; `finance.open_exception` (rule `time_entry`) has each.

**If it fails**

- **`load`**: it repeats by itself while Kantata is down; a load that died left nothing. Clear it at any time.
- **`gate`**: there is no verdict to trust (the log says why), and nothing of the load is billed. Clear it; a check that
  crashes again is a defect of `expectations/psflow_expectations/time_expense/time_entry.json`.
"""

from airflow.sdk import DAG, CronTriggerTimetable

from psflow_airflow.operators.kantata import KantataLoadTimeOperator
from psflow_airflow.operators.time_expense import TimeGateOperator
from psflow_airflow.recovery import RETRIES, WAIT_FOR_THE_HOUR

with DAG(
    "time_expense",
    schedule=CronTriggerTimetable("0 4 * * *", timezone="UTC", run_immediately=WAIT_FOR_THE_HOUR),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "pmo", **RETRIES},
    tags=["process:time_expense", "writes:none", "owner:pmo"],
    doc_md=__doc__,
):
    load = KantataLoadTimeOperator(task_id="load")
    gate = TimeGateOperator(task_id="gate")
    load >> gate
