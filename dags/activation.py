"""
### Activation

One run a won deal, started by `sync_salesforce`: six gates, then customer and project shell in Tryton, the delivery
project in Kantata, its demand in Float, and engagement and project code back on the deal. The truth about its state is
`ops.workflow`. Owner: PMO.

**If it fails**

- **`gates`**: the deal is blocked. Each reason, owner and fix is in the log and in `finance.open_exception`. Correct it
  at its source; the next sync runs this again by itself.
- **`create_in_erp`**: *refused*: the effect's exception has Tryton's words; correct the cause and clear `gates`, so
  that what is sent is what the deal says now. Safe at any time: what may have landed is looked up and not sent anew.
- **`create_in_psa`**: refused: the deal in Salesforce says "activation failed", the shell in Tryton is closed and the
  deal is `compensated`. Correct the cause, then trigger this DAG with the same engagement and the next epoch; it gets
  new projects, the closed ones stay closed.
- **`create_in_planner`**: as `create_in_erp`, with Float. The projects stand; only nobody is asked for yet.
- **`finish`**: as `create_in_erp`, with Salesforce. The projects stand; only the deal does not say so yet.
"""

from airflow.sdk import DAG, Param

from psflow_airflow.operators.activation import ActivationGateOperator
from psflow_airflow.operators.kantata import KantataCreateProjectOperator
from psflow_airflow.operators.salesforce import SalesforceUpdateOpportunityOperator
from psflow_airflow.operators.staffing import RequestResourcesOperator
from psflow_airflow.operators.tryton import TrytonCreateProjectOperator
from psflow_airflow.recovery import RETRIES

with DAG(
    "activation",
    schedule=None,
    catchup=False,
    params={
        "engagement_id": Param(type="string", minLength=1, description="e.g. E-1001"),
        "epoch": Param(type="integer", minimum=1, description="how often the deal was won"),
    },
    default_args={
        "owner": "pmo",
        "engagement_id": "{{ params.engagement_id }}",
        "epoch": "{{ params.epoch }}",
        **RETRIES,
    },
    tags=["process:activation", "writes:erp", "writes:psa", "writes:planner", "writes:crm", "owner:pmo"],
    doc_md=__doc__,
):
    gates = ActivationGateOperator(task_id="gates")
    create_in_erp = TrytonCreateProjectOperator(task_id="create_in_erp")
    create_in_psa = KantataCreateProjectOperator(task_id="create_in_psa")
    create_in_planner = RequestResourcesOperator(task_id="create_in_planner")
    finish = SalesforceUpdateOpportunityOperator(task_id="finish")
    gates >> create_in_erp >> create_in_psa >> create_in_planner >> finish
