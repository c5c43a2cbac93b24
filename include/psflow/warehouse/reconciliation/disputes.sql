-- What customers dispute, beside the invoice that ties: explained, not a difference.
with disputed as (
    select invoice_key, sum(amount) as amount, currency,
           string_agg(format('#%%s: %%s (%%s)', dispute_id, dispute.reason, owner), '; ' order by dispute_id) as why
    from billing.dispute left join billing.dispute_end using (dispute_id)
    where outcome is null group by invoice_key, currency
),
said as (
    select step, record_id, disputed.amount,
           case when disputed.amount is not null
                then billing.money_text(disputed.amount, disputed.currency) || ' disputed, ' || why end as explained
    from finance.invoice_tie_out tied left join disputed using (invoice_key)
    where step = '4 invoices to ERP invoices'
)
update finance.invoice_tie_out tied set disputed = said.amount, explained = said.explained
from said
where (said.step, said.record_id) = (tied.step, tied.record_id)
  and (said.amount, said.explained) is distinct from (tied.disputed, tied.explained)
