-- What the batch comes to, a row a currency: sums of two currencies are no number.
with taxed as (
    select currency::text, case when bool_and(tax is not null) then sum(tax) end as tax
    from billing.batch_tax where batch_id = %(batch)s group by currency
)
select currency, count(*) as invoices, sum(charges)::int as charges, trim_scale(round(sum(minutes) / 60.0, 4)) as hours,
       sum(fees) as fees, sum(expenses) as expenses, sum(items) as items, sum(taken_back) as taken_back, sum(amount) as amount,
       tax, sum(amount) + tax as gross
from (
    select currency::text, count(*) as charges, coalesce(sum(minutes), 0) as minutes,
           sum(amount) filter (where source = 'time') as fees, sum(amount) filter (where source = 'expense') as expenses,
           sum(amount) filter (where source = 'item') as items, sum(amount) filter (where kind = 'reversal') as taken_back,
           sum(amount) as amount
    from billing.batch_content
    where batch_id = %(batch)s
    group by project_code, payer_id, currency
) invoice
join taxed using (currency)
group by currency, tax
order by currency
