-- Who decided on batches, in the order of the decisions.
select batch_id, step, seat, decision, person, airflow_user, reason, decided_at, run_id
from ops.approval where batch_id = any(%(batches)s) order by decided_at
