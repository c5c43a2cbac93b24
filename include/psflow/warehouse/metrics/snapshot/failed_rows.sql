-- The rows for which a gate stopped its batch, by its last verdict.
select failure.record_id, failure.field, failure.value, failure.rule, failure.says
from ops.gate_failure failure
join ops.gate_check said on (said.gate_id, said.rule) = (failure.gate_id, failure.rule) and said.outcome = 'failed'
where failure.gate_id = (select max(gate_id) from ops.gate_run where suite = %(suite)s and batch_id = %(batch)s)
order by failure.record_id, failure.rule
