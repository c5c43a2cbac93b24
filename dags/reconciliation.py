"""
### Reconciliation

Daily: every document in Tryton that carries one of our references is read as it is now, and hours, charges, invoice
lines, documents and ledger are tied out record by record in `finance.invoice_tie_out`. Hours that one company's people
worked for another are written in the books of both. Owner: finance.

**If it fails**

- **`read_erp`**: it repeats by itself while Tryton is down. Clear it at any time; it only reads.
- **`tie_out`**: something does not tie. All rows are written; those whose status is not `tied` name both sides, and
  `finance.open_exception` (rule `tie_out`) has each until it ties. Do not close the period before.
- **`transfer`**: a month was closed meanwhile; it repeats by itself. A green run may leave hours that wait:
  `finance.open_exception` (rule `intercompany`) says what each lacks.
- **`recheck`**: a month is not as it was signed. It stays closed; rule `period` names the controls, run `close` again.
"""

from airflow.sdk import DAG, CronTriggerTimetable

from psflow_airflow.operators.intercompany import TransferOperator
from psflow_airflow.operators.period import PeriodRecheckOperator
from psflow_airflow.operators.reconciliation import TieOutOperator
from psflow_airflow.operators.tryton import TrytonReadInvoicesOperator
from psflow_airflow.recovery import RETRIES, WAIT_FOR_THE_HOUR

with DAG(
    "reconciliation",
    schedule=CronTriggerTimetable("0 5 * * *", timezone="UTC", run_immediately=WAIT_FOR_THE_HOUR),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "finance", **RETRIES},
    tags=["process:reconciliation", "writes:none", "owner:finance"],
    doc_md=__doc__,
):
    read_erp = TrytonReadInvoicesOperator(task_id="read_erp")
    tie_out = TieOutOperator(task_id="tie_out")
    TransferOperator(task_id="transfer")
    recheck = PeriodRecheckOperator(task_id="recheck")
    read_erp >> [tie_out, recheck]
