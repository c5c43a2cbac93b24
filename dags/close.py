"""
### Close

Closes a month of a legal entity: what the PSA has of it is read once more, the ERP's documents too, lent hours are
written in the books of both companies, ten controls (K1 to K4, K8 to K13) are computed and kept as a version, and a
person who did not start the run signs them. From then on Postgres refuses every write that counts in the month; what
comes late counts in the next open one. Started by a person. Owner: finance.

**If it fails**

- **`read_source`**, **`read_erp`**: they repeat by themselves while a system is down. Clear at any time.
- **`transfer`**: another month was closed meanwhile; it repeats by itself.
- **`controls`**: a batch or a write of the month is open; it is named. Finish or reject it, then clear this task.
- **`sign`**: orange waits for those with the duty *close* in `psflow.yaml`. Red was rejected, was not theirs, or
  something changed since the controls were shown: the log says which control. Trigger a new run.
"""

from airflow.sdk import DAG, Param

from psflow_airflow.operators import period
from psflow_airflow.operators.intercompany import TransferOperator
from psflow_airflow.operators.period_sign import PeriodSignOperator
from psflow_airflow.operators.tryton import TrytonReadInvoicesOperator
from psflow_airflow.recovery import RETRIES

PERIOD = Param(None, "empty: last month", type=["null", "string"], pattern=r"^\d{4}-(0[1-9]|1[0-2])$")

with DAG(
    "close",
    schedule=None,
    catchup=False,
    max_active_runs=8,
    params={"legal_entity_id": Param(type="string", minLength=1), "period": PERIOD},
    default_args={"owner": "finance", **RETRIES},
    tags=["process:close", "writes:none", "owner:finance"],
    doc_md=__doc__,
):
    month = "{{ params.period or '' }}"
    read_source = period.PeriodSourceOperator(task_id="read_source", period=month)
    read_erp = TrytonReadInvoicesOperator(task_id="read_erp")
    transfer = TransferOperator(task_id="transfer")
    controls = period.PeriodControlsOperator(
        task_id="controls", legal_entity_id="{{ params.legal_entity_id }}", period=month
    )
    shown = {name: controls.output[name] for name in ("close_id", "content_hash")}
    sign = PeriodSignOperator(task_id="sign", **shown)
    [read_source, read_erp, transfer] >> controls >> sign
