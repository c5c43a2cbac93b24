-- What an approver decides on; totals as text per currency, since sums of two currencies are no number.
select batch.batch_id, batch.state, coalesce(batch.content_hash, '') as content_hash,
       count(distinct line.project_code)::int as projects,
       count(line.charge_id)::int as charges,
       (select count(*) from billing.batch_hold hold where hold.batch_id = batch.batch_id)::int as held,
       coalesce((select string_agg(billing.money_text(amount, currency), ', ' order by currency)
                 from (select currency, sum(amount) as amount from billing.batch_content
                       where batch_id = batch.batch_id group by currency) total), 'nothing') as totals
from billing.batch
left join billing.batch_content line using (batch_id)
where batch_id = %(batch)s
group by batch.batch_id
