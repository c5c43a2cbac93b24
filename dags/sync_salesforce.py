"""
### Sync Salesforce

Every 15 minutes: customers and opportunities that changed come in, each won deal opens an engagement, and one run of
`activation` starts for each, named `<engagement_id>.<epoch>`. A blocked deal that was corrected runs again under the
same name. A deal that is no longer won has its projects closed; won again, it starts its next epoch. Owner: data
engineering.

**If it fails**

- **`pull`**: it repeats by itself while Salesforce is down. A refused sign-in: correct the connection
  `psflow_salesforce`. Records that could not be read are in `finance.open_exception` (rule `record`) and stop nothing.
- **`close_lost`**: a deal that is no longer won has its projects closed; what could not be closed is an exception with
  the vendor's words. The next sync goes on with it; clear it at any time.
- **`due`**: clear it; it only rewrites what `pull` found.
- **`activate`**: skipped means that the run is there already. Failed: is `activation` free of import errors? Then
  clear it; what is not started is due again at the next sync.
"""

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, CronTriggerTimetable

from psflow_airflow.operators.activation import ActivationRunsOperator, CloseLostDealsOperator
from psflow_airflow.operators.salesforce import SalesforcePullOperator
from psflow_airflow.recovery import RETRIES, WAIT_FOR_THE_HOUR

with DAG(
    "sync_salesforce",
    schedule=CronTriggerTimetable("*/15 * * * *", timezone="UTC", run_immediately=WAIT_FOR_THE_HOUR),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "data engineering", **RETRIES},
    tags=["process:sync", "writes:erp", "writes:psa", "writes:planner", "owner:data engineering"],
    doc_md=__doc__,
):
    pull = SalesforcePullOperator(task_id="pull")
    CloseLostDealsOperator(task_id="close_lost", due=pull.output)
    due = ActivationRunsOperator(task_id="due", due=pull.output)
    TriggerDagRunOperator.partial(
        task_id="activate",
        trigger_dag_id="activation",
        logical_date=None,
        map_index_template="{{ task.trigger_run_id }}",
    ).expand_kwargs(due.output)
