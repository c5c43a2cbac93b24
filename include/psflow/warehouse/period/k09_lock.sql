-- Nothing that counts in the month was written, here or in the ERP, while the month was closed.
-- grain: invoice that is dated or has work in the month, decision of the month, both sides its amount; attempt that was refused
-- unit:  the invoice's or decision's currency, attempts
with closed as (
    select at, until from (
        select event, at, lead(at, 1, 'infinity') over (order by event_id) as until from ops.period_event
        where (legal_entity_id, period) = (%(entity)s, %(period)s) and event in ('closed', 'reopened')) spans
    where event = 'closed'
),
wrote as (
    select invoice.invoice_key, min(registered_at) filter (where capability = 'draft_invoice') as written_at,
           max(settled_at) filter (where capability = 'post_invoice' and effect.state = 'done') as posted_at
    from billing.invoice
    join ops.effect on effect.batch_id = invoice.batch_id and payload ->> 'invoice_key' = invoice.invoice_key
    where invoice.legal_entity_id = %(entity)s
    group by invoice.invoice_key
),
written as (
    select 'invoice ' || invoice_key as record_id, currency as unit, amount, written_at, posted_at
    from billing.live_invoice invoice
    left join wrote using (invoice_key)
    where legal_entity_id = %(entity)s
      and (invoiced_on between %(start)s and %(end)s
           or exists (select from billing.charge where (charge.batch_id, charge.project_code) = (invoice.batch_id, invoice.project_code)
                                                   and accounting_on between %(start)s and %(end)s))
    union all
    select kind || ' ' || adjustment_id, currency, amount, decided_at, null
    from billing.adjustment
    where decided_on between %(start)s and %(end)s
      and exists (select from billing.passed_entry entry where entry.entry_key = adjustment.entry_key and legal_entity_id = %(entity)s)
)
select record_id, unit, amount as left_value, amount as right_value,
       case when written_at is null and record_id like 'invoice %%' then 'nothing says when it was written'
            when exists (select from closed where written_at > at and written_at < until) then 'was written while the month was closed'
            when exists (select from closed where posted_at > at and posted_at < until) then 'was posted in the ERP while the month was closed'
            end as says, null::jsonb as detail
from written
union all
select 'refused ' || event_id, 'attempts', 1, 1, null,
       jsonb_build_object('at', to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'), 'Postgres said', reason)
from ops.period_event
where (legal_entity_id, period, event) = (%(entity)s, %(period)s, 'refused') and at <= %(as_of)s
