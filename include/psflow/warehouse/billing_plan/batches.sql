-- Batches of some legal entities, the newest first, with what their plan comes to and the last reject.
select batch.batch_id, batch.legal_entity_id, batch.period, batch.state, batch.frozen_at, plan.plan_hash,
       (select string_agg(billing.money_text(amount, currency), ', ' order by currency)
        from json_to_recordset(plan.plan -> 'totals') as total (currency text, amount numeric)) as totals,
       json_array_length(plan.plan -> 'invoices') as invoices, json_array_length(plan.plan -> 'held') as held,
       (select reason from ops.approval where approval.batch_id = batch.batch_id and decision = 'rejected' limit 1) as reason
from billing.batch
left join billing.plan using (batch_id)
where %(entities)s::text[] is null or legal_entity_id = any(%(entities)s)
order by frozen_at desc
limit 200
