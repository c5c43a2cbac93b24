"""
### Sync BambooHR

Every hour: people, leavers included, and the leave of 18 months back and 13 months ahead. Owner: data engineering.

A green run may have found drift: a field that another system says differently is refused, listed in `ops.drift` and
told to data engineering (rule `ownership`). People who look alike wait for a decision (rule `match`).

**If it fails**

- **`pull`**: it repeats by itself while BambooHR is down. A refused key: correct the connection `psflow_bamboohr`; the
  key sees only what the user who made it may see. Clear it at any time.
"""

from airflow.sdk import DAG, CronTriggerTimetable

from psflow_airflow.operators.bamboohr import BambooHRPullOperator
from psflow_airflow.recovery import RETRIES, WAIT_FOR_THE_HOUR

with DAG(
    "sync_bamboohr",
    schedule=CronTriggerTimetable("10 * * * *", timezone="UTC", run_immediately=WAIT_FOR_THE_HOUR),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "data engineering", **RETRIES},
    tags=["process:sync", "writes:none", "owner:data engineering"],
    doc_md=__doc__,
):
    BambooHRPullOperator(task_id="pull")
