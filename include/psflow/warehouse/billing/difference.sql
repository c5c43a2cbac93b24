-- billing: what should be billed up to a day, less what was billed.
-- grain: charge or reversal; kind unrated: what has no price (held, never 0), with its reason
-- unit:  minutes; cost as paid; amount in the contract's currency
-- reads: billing_work, billing_owed, billing_live, billing_taxed, billing.counted_charge, billing.void_charge, core.period
-- owner: finance
with books as (  -- what was worked in a closed period counts on the first open day; a soft-closed one takes corrections
    select coalesce(max((period || '-01')::date + interval '1 month')::date, '-infinity') as open_from,
           coalesce(max((period || '-01')::date + interval '1 month') filter (where closed_at is not null)::date, '-infinity')
               as corrected_from
    from core.period where legal_entity_id = %(entity)s and state <> 'open'
),
charged as (
    select entry_key, version, component, max(seq) as seq
    from billing.counted_charge
    where kind = 'charge' and entry_key in (select entry_key from billing_owed where take <> 0 or whole_amount = 0)
    group by entry_key, version, component
),
kept as (  -- what is corrected or credited in part keeps the tax it was invoiced with, on the same project and day
    select entry_key, project_code, worked_on, max(tax_id) as tax_id
    from billing_live where fate in ('reversed', 'credited') group by entry_key, project_code, worked_on
),
line as (
    select work.entry_key || '.' || work.version || case work.component when 'overtime' then '/overtime' else '' end
               || coalesce('/' || nullif(coalesce(charged.seq, 0) + 1, 1), '') as first_id,
           'charge' as kind, work.source, work.entry_key, work.time_entry_id, work.expense_entry_id, work.version,
           work.project_code, work.worked_on, work.role,
           case when owed.take = owed.amount then owed.minutes
                else trunc(work.minutes * owed.take / nullif(owed.whole_amount, 0)) end::integer as minutes,
           owed.hourly_rate, work.category, work.cost, work.cost_currency, work.fx_rate, owed.take as amount, work.currency,
           work.item_id, work.component, coalesce(charged.seq, 0) + 1 as seq, work.resource_id, work.contract_line,
           work.minutes as entry_minutes,
           case when owed.take = owed.amount then owed.billed_minutes
                else billing.minutes_worth(owed.take, owed.hourly_rate, owed.day_rate, owed.hours_per_day) end as billed_minutes,
           owed.whole_minutes, owed.whole_amount, work.billable_cost, work.markup_pct, work.rate_id, work.terms_version,
           owed.adjustment_id, owed.order_id, owed.day_rate, owed.hours_per_day, work.overtime_id, null::text as reason,
           null::text as payer_id, null::bigint as split_id, kept.tax_id  -- see split
    from billing_owed owed
    join billing_work work using (entry_key, component)
    left join charged using (entry_key, version, component)
    left join kept using (entry_key, project_code, worked_on)
    where (owed.take <> 0 or owed.whole_amount = 0) and owed.held_for is null
    union all
    select work.entry_key || '.' || work.version || case work.component when 'overtime' then '/overtime' else '' end,
           'unrated', work.source, work.entry_key, work.time_entry_id, work.expense_entry_id, work.version, work.project_code,
           work.worked_on, work.role, work.minutes, work.hourly_rate, work.category, work.cost, work.cost_currency,
           work.fx_rate, null, work.currency, work.item_id, work.component, null, work.resource_id, work.contract_line,
           work.minutes, null, null, null, null, null, null, work.terms_version, null, null, null, null, null, work.reason, null, null,
           null
    from billing_work work
    where reason is not null
      and not exists (select from billing_live live where live.entry_key = work.entry_key and live.component = work.component
                                                      and live.fate <> 'waits')
    union all
    select live.charge_id || '.R', 'reversal', live.source, live.entry_key, live.time_entry_id, live.expense_entry_id,
           live.version, live.project_code, live.worked_on, live.role, -live.minutes, live.hourly_rate, live.category,
           -live.cost, live.cost_currency, live.fx_rate, -live.amount, live.currency, live.item_id, live.component, live.seq,
           live.resource_id, live.contract_line, live.entry_minutes, -live.billed_minutes, live.whole_minutes,
           live.whole_amount, live.billable_cost, live.markup_pct, live.rate_id, live.terms_version,
           case live.fate when 'credited' then live.adjustment_id end, live.order_id, live.day_rate, live.hours_per_day,
           live.overtime_id, null, live.payer_id, live.split_id, live.tax_id
    from billing_live live
    where live.fate in ('reversed', 'credited')
),
voided as (  -- billed before, on invoices that were voided
    select regexp_replace(charge_id, '~\d+$', '') as first_id, count(*) as times
    from billing.void_charge
    group by 1
)
insert into billing_difference
select line.first_id || coalesce('~' || (voided.times + 1), ''), kind, source, entry_key, time_entry_id, expense_entry_id,
       version, line.project_code, worked_on, role, minutes, hourly_rate, category, cost, cost_currency, fx_rate, amount,
       currency, item_id, component, seq, resource_id, contract_line, entry_minutes, billed_minutes, whole_minutes,
       whole_amount, billable_cost, markup_pct, rate_id, terms_version, adjustment_id, order_id,
       greatest(worked_on, case when adjustment_id is null then books.open_from else books.corrected_from end),
       day_rate, hours_per_day, overtime_id, reason, line.payer_id, split_id,
       case kind when 'charge' then coalesce(line.tax_id, taxed.tax_id) else line.tax_id end
from line
cross join books
left join billing_taxed taxed
    on taxed.project_code = line.project_code and taxed.payer_id is null
    and worked_on between coalesce(taxed.valid_from, '-infinity') and coalesce(taxed.valid_to, 'infinity')
left join voided using (first_id)
