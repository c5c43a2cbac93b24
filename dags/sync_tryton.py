"""
### Sync Tryton

Every day: the exchange rates of each legal entity's books. Margins and expenses in another currency use them by date;
a day without one is told, never taken as 1. Owner: finance.

**If it fails**

- **`pull`**: it repeats by itself while Tryton is down. *Has no rate*: add one for the company's own currency in Tryton
  under Currencies, then clear it.
"""

from airflow.sdk import DAG, CronTriggerTimetable

from psflow_airflow.operators.tryton import TrytonPullRatesOperator
from psflow_airflow.recovery import RETRIES, WAIT_FOR_THE_HOUR

with DAG(
    "sync_tryton",
    schedule=CronTriggerTimetable("0 3 * * *", timezone="UTC", run_immediately=WAIT_FOR_THE_HOUR),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "finance", **RETRIES},
    tags=["process:sync", "writes:none", "owner:finance"],
    doc_md=__doc__,
):
    TrytonPullRatesOperator(task_id="pull")
