"""
### Alerts

Every 15 minutes: each owner team that has a channel in `psflow.yaml` is told which of its exceptions are new, overdue
or over, once each. What was told is in `ops.alert`. Without channels the run is skipped. Owner: data engineering.

**If it fails**

- **`tell`**: the log names the teams that were not told and why; the others were. It repeats by itself while a mail
  server is down. A refused sign-in or address: correct the connection or `channels` in `psflow.yaml`. Clear it at any
  time: what was told is not told again, except what was sent in the very moment a worker died.
"""

from airflow.sdk import DAG, CronTriggerTimetable

from psflow_airflow.operators.alerts import TellAlertsOperator
from psflow_airflow.recovery import RETRIES, WAIT_FOR_THE_HOUR

with DAG(
    "alerts",
    schedule=CronTriggerTimetable("*/15 * * * *", timezone="UTC", run_immediately=WAIT_FOR_THE_HOUR),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "data engineering", **RETRIES},
    tags=["process:alerts", "writes:none", "owner:data engineering"],
    doc_md=__doc__,
):
    TellAlertsOperator(task_id="tell")
