"""
### Staffing

Every hour, after the people were read: each open request gets a person who has its role and skills, delivers in its
region and is free on every working day; planner and PSA are told. Owner: resource management.

A green run may leave requests unstaffed: `staff` returns how many; `finance.open_exception` (rule `staffing`) says for
each why, and who came nearest. The next run matches them again.

**If it fails**

- **`staff`**: it repeats by itself while Float or Kantata is down. What was matched stays matched and what was sent is
  looked up before it is sent again: clear it at any time. *Refused*: the effect's exception has the vendor's words.
"""

from airflow.sdk import DAG, CronTriggerTimetable

from psflow_airflow.operators.staffing import StaffRequestsOperator
from psflow_airflow.recovery import RETRIES, WAIT_FOR_THE_HOUR

with DAG(
    "staffing",
    schedule=CronTriggerTimetable("30 * * * *", timezone="UTC", run_immediately=WAIT_FOR_THE_HOUR),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "resource management", **RETRIES},
    tags=["process:staffing", "writes:planner", "writes:psa", "owner:resource management"],
    doc_md=__doc__,
):
    StaffRequestsOperator(task_id="staff")
