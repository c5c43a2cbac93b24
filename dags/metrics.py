"""
### Metrics

Daily, after the reconciliation: customers, people and rate cards meet their gates, and the numbers of schema `finance`
are frozen, judged and published. What was published before stays in `finance.metric_published`. Owner: finance.

A green run may name wrong records: `master_data` returns how many, `finance.open_exception` (rule `master_data`) has
each.

**If it fails**

- **`master_data`**: there is no verdict to trust (the log says why). Clear it; a check that crashes again is a defect
  of its suite under `expectations/psflow_expectations/master_data/`.
- **`publish`**: ledger or metrics do not hold, and what was published before stands. The log says which check stopped
  it; `finance.open_exception` (rule `metrics`) has each row. Correct its source, then clear it.
"""

from airflow.sdk import DAG, CronTriggerTimetable, Param

from psflow_airflow.operators.metrics import MasterDataGateOperator, MetricsPublishOperator
from psflow_airflow.recovery import RETRIES, WAIT_FOR_THE_HOUR

DAY = Param(None, "published for; empty: the day of the run", type=["null", "string"], format="date")

with DAG(
    "metrics",
    schedule=CronTriggerTimetable("0 6 * * *", timezone="UTC", run_immediately=WAIT_FOR_THE_HOUR),
    catchup=False,
    max_active_runs=1,
    params={"as_of": DAY},
    default_args={"owner": "finance", **RETRIES},
    tags=["process:metrics", "writes:none", "owner:finance"],
    doc_md=__doc__,
):
    master_data = MasterDataGateOperator(task_id="master_data")
    publish = MetricsPublishOperator(task_id="publish", as_of="{{ params.as_of or '' }}")
