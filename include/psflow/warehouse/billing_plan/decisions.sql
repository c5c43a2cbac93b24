-- Who decided what on a batch, with the rejects of batches of the same period before it.
select approval.batch_id, step, seat, decision, person, airflow_user, reason, decided_at, run_id, plan_hash
from billing.batch head
join billing.batch on (batch.legal_entity_id, batch.period) = (head.legal_entity_id, head.period)
join ops.approval on approval.batch_id = batch.batch_id
where head.batch_id = %(batch)s
  and (batch.batch_id = head.batch_id or batch.number < head.number and decision = 'rejected')
order by decided_at
