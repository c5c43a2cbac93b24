"""
### Sync Kantata

Every hour: all people and rate cards come in, since Kantata keeps no change stamp on them. Owner: data engineering.

**If it fails**

- **`pull`**: it repeats by itself while Kantata is down. A refused token: correct the connection `psflow_kantata`; it
  must belong to an account administrator, or projects are missing in silence. *Prices cannot be read*: none of them is
  taken and yesterday's stay; correct the card named in `finance.open_exception` (rule `record`), then clear it.
"""

from airflow.sdk import DAG, CronTriggerTimetable

from psflow_airflow.operators.kantata import KantataPullOperator
from psflow_airflow.recovery import RETRIES, WAIT_FOR_THE_HOUR

with DAG(
    "sync_kantata",
    schedule=CronTriggerTimetable("5 * * * *", timezone="UTC", run_immediately=WAIT_FOR_THE_HOUR),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "data engineering", **RETRIES},
    tags=["process:sync", "writes:none", "owner:data engineering"],
    doc_md=__doc__,
):
    KantataPullOperator(task_id="pull")
