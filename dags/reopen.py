"""
### Re-open

Opens a closed month of a legal entity again: a required action with a reason, of somebody with the duty *close*. What
was signed stays as a version; the next run of `close` makes a new one. Owner: finance.

**If it fails**

- **`reopen`**: orange waits for the people in `psflow.yaml`. Red was rejected, or the month was open: see the log.
"""

from airflow.sdk import DAG, Param

from psflow_airflow.operators.period_sign import PeriodReopenOperator
from psflow_airflow.recovery import RETRIES

with DAG(
    "reopen",
    schedule=None,
    catchup=False,
    max_active_runs=8,
    params={
        "legal_entity_id": Param(type="string", minLength=1),
        "period": Param(type="string", pattern=r"^\d{4}-(0[1-9]|1[0-2])$"),
    },
    default_args={"owner": "finance", **RETRIES},
    tags=["process:reopen", "writes:none", "owner:finance"],
    doc_md=__doc__,
):
    PeriodReopenOperator(task_id="reopen", legal_entity_id="{{ params.legal_entity_id }}", period="{{ params.period }}")
