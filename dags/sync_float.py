"""
### Sync Float

Every hour: people with skills, working hours and cost, and every allocation of 18 months back and 13 months ahead.
Float keeps no trace of what was deleted, so the window is read whole and compared. Owner: data engineering.

An assignment of ours that somebody deleted in Float is over, and told (rule `staffing`): nobody is booked instead.

**If it fails**

- **`pull`**: it repeats by itself while Float is down or has had enough of us (429). A refused token: correct the
  connection `psflow_float`. Clear it at any time.
"""

from airflow.sdk import DAG, CronTriggerTimetable

from psflow_airflow.operators.float import FloatPullOperator
from psflow_airflow.recovery import RETRIES, WAIT_FOR_THE_HOUR

with DAG(
    "sync_float",
    schedule=CronTriggerTimetable("20 * * * *", timezone="UTC", run_immediately=WAIT_FOR_THE_HOUR),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "data engineering", **RETRIES},
    tags=["process:sync", "writes:none", "owner:data engineering"],
    doc_md=__doc__,
):
    FloatPullOperator(task_id="pull")
