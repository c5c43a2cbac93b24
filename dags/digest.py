"""
### Digest

Every day at 07:00 UTC: each owner team that has a channel in `psflow.yaml` is told where it stands: open, overdue and
nobody's exceptions, money at risk, billing batches to approve. A team with none of these is not told.
Owner: data engineering.

**If it fails**

- **`tell`**: as in `alerts`. A team is told once a day, so clear it at any time; `ops.audit` (action `digest.told`)
  says who was.
"""

from airflow.sdk import DAG, CronTriggerTimetable

from psflow_airflow.operators.alerts import TellDigestOperator
from psflow_airflow.recovery import RETRIES, WAIT_FOR_THE_HOUR

with DAG(
    "digest",
    schedule=CronTriggerTimetable("0 7 * * *", timezone="UTC", run_immediately=WAIT_FOR_THE_HOUR),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "data engineering", **RETRIES},
    tags=["process:digest", "writes:none", "owner:data engineering"],
    doc_md=__doc__,
):
    TellDigestOperator(task_id="tell")
