"""
### Time and expense

Daily: time entries and expenses that changed come in, and a gate of each lets the good ones on to billing. Owner: PMO.
Hours of contracts that Tryton bills itself (`number_owner` in `psflow.yaml`) go on to their projects there.

A green run may hold some: both gates return how many; `finance.open_exception` (rules `time_entry`, `expense_entry`)
has each. The two ways do not wait for each other.

**If it fails**

- **`load`**, **`load_expenses`**: it repeats by itself while Kantata is down; a load that died left nothing. Clear it
  at any time.
- **`gate`**, **`gate_expenses`**: there is no verdict to trust (the log says why), and nothing of the load is billed.
  Clear it; a check that crashes again is a defect of the suite in `expectations/psflow_expectations/time_expense/`.
- **`post_time`**: Tryton did not answer. Clear it: what it has is looked up first. What it refused is an exception
  (rule `effect`). Skipped: Tryton bills no contract itself.
"""

from airflow.sdk import DAG, CronTriggerTimetable

from psflow_airflow.operators.kantata import KantataLoadExpensesOperator, KantataLoadTimeOperator
from psflow_airflow.operators.time_expense import ExpenseGateOperator, TimeGateOperator
from psflow_airflow.operators.tryton import TrytonPostTimeOperator
from psflow_airflow.recovery import RETRIES, WAIT_FOR_THE_HOUR

with DAG(
    "time_expense",
    schedule=CronTriggerTimetable("0 4 * * *", timezone="UTC", run_immediately=WAIT_FOR_THE_HOUR),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "pmo", **RETRIES},
    tags=["process:time_expense", "writes:erp", "owner:pmo"],
    doc_md=__doc__,
):
    load = KantataLoadTimeOperator(task_id="load")
    gate = TimeGateOperator(task_id="gate")
    load_expenses = KantataLoadExpensesOperator(task_id="load_expenses")
    gate_expenses = ExpenseGateOperator(task_id="gate_expenses")
    post_time = TrytonPostTimeOperator(task_id="post_time")
    load >> gate >> post_time
    load_expenses >> gate_expenses
