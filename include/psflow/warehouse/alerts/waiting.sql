-- Billing batches that wait for a person: for which step, and how much.
select batch.batch_id, batch.legal_entity_id, case batch.state when 'checked' then 'submit' else 'approve' end as step,
       coalesce(string_agg(billing.money_text(total.amount, total.currency), ', ' order by total.currency), 'nothing') as totals
from billing.batch
left join lateral (select currency, sum(amount) as amount from billing.batch_content line
                   where line.batch_id = batch.batch_id group by currency) total on true
where batch.state in ('checked', 'submitted')
group by batch.batch_id
order by batch.frozen_at, batch.batch_id
