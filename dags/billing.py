"""
### Billing

What should be billed and was not, of one legal entity up to the end of a period, becomes posted invoices in Tryton, one
a project. Started by a person, who names the legal entity; nothing to bill ends green with all skipped. Owner: finance.

**If it fails**, nothing is posted that two people did not approve. Each legal entity has one open batch; a new run
freezes anew what is still unbilled, and the batch that waited before is stale. Entities do not wait for each other.

- **`freeze`**: correct the conf, trigger a new run. Hours without a rate are in `finance.open_exception` (rule `rate`).
- **`gate`**: no verdict to trust, or all held: see `finance.open_exception` (rule `billing`), then trigger a new run.
- **`submit`**, **`approve`**: orange waits for the people in `psflow.yaml`, two different ones. Red was rejected, or
  was not theirs to decide: the log says which. Cleared, it asks the same people the same; else trigger a new run.
- **`approve_again`**: asks a second approver when the batch is over the limit in `psflow.yaml`; else done at once.
- **`release`**: the data changed after the approval, and the batch is stale. Trigger a new run.
- **`draft`**, **`read_back`**: clear at any time; each document carries our reference and is looked up first.
- **`post`**: some were refused or differ: their exceptions name them. Correct, then clear `draft` and what follows.
"""

from airflow.sdk import DAG, Param

from psflow_airflow.operators import billing as bill
from psflow_airflow.operators import tryton
from psflow_airflow.operators.billing_decision import BillingDecisionOperator
from psflow_airflow.recovery import RETRIES

PERIOD = Param(None, "up to its end; empty: last month", type=["null", "string"], pattern=r"^\d{4}-(0[1-9]|1[0-2])$")
DAY = Param(None, "of the invoices; empty: last day of the period", type=["null", "string"], format="date")


with DAG(
    "billing",
    schedule=None,
    catchup=False,
    max_active_runs=8,
    params={"legal_entity_id": Param(type="string", minLength=1), "period": PERIOD, "invoiced_on": DAY},
    default_args={"owner": "finance", **RETRIES},
    tags=["process:billing", "writes:erp", "owner:finance"],
    doc_md=__doc__,
):
    freeze = bill.BillingFreezeOperator(
        task_id="freeze",
        legal_entity_id="{{ params.legal_entity_id }}",
        period="{{ params.period or '' }}",
        invoiced_on="{{ params.invoiced_on or '' }}",
    )
    batch = {"batch_id": freeze.output}
    gate = bill.BillingGateOperator(task_id="gate", **batch)
    shown = batch | {"content_hash": gate.output["content_hash"]}
    submit = BillingDecisionOperator(task_id="submit", step="submit", **shown)
    approve = BillingDecisionOperator(task_id="approve", step="approve", **shown)
    approve_again = BillingDecisionOperator(task_id="approve_again", step="approve", **shown)
    release = bill.BillingReleaseOperator(task_id="release", **batch)
    draft = tryton.TrytonDraftInvoicesOperator(task_id="draft", **batch)
    read_back = tryton.TrytonReadBackOperator(task_id="read_back", **batch)
    post = tryton.TrytonPostInvoicesOperator(task_id="post", **batch)
    freeze >> gate >> submit >> approve >> approve_again >> release >> draft >> read_back >> post
