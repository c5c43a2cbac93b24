-- billing: what should be billed up to a day, less what was billed.
-- grain: version of a time or expense entry; kind charge, reversal, or unrated (a charge without a price: held, never 0)
-- unit:  minutes; cost as paid; amount in the contract's currency, rounded once per entry, half away from zero
-- reads: billing.passed_entry, core.rate, core.fx_rate, billing.live_charge, billing.void_charge
-- owner: finance
with billable as (  -- what was done before we bill was billed elsewhere
    select * from billing.passed_entry
    where legal_entity_id = %(entity)s and is_to_bill and worked_on <= %(until)s
      and worked_on >= coalesce(%(starts_on)s::date, '-infinity')
),
day_rate as (  -- once a pair of currencies and day, not once an expense
    select wanted.*, dated.rate
    from (select distinct cost_currency, currency, worked_on from billable where cost_currency <> currency) wanted
    cross join lateral (
        select rate from core.fx_rate
        where (from_currency, to_currency) = (wanted.cost_currency, wanted.currency) and valid_on <= wanted.worked_on
        order by valid_on desc limit 1
    ) dated
),
billed as (
    select charge.*
    from billing.live_charge charge
    join core.project using (project_code)
    join core.contract using (engagement_id)
    where contract.legal_entity_id = %(entity)s
),
last as (  -- an entry that moved may have two live charges for a while; the newest is what it is compared with
    select distinct on (entry_key) * from billed order by entry_key, version desc
),
matched as (
    select billable.*, billed.charge_id as billed_id,
           (billed.project_code, billed.worked_on, billed.role, billed.minutes, billed.category, billed.cost,
            billed.cost_currency)
               is not distinct from (billable.project_code, billable.worked_on, billable.role, billable.minutes,
                                     billable.category, billable.cost, billable.cost_currency) as is_same,
           -- what is corrected keeps the price it was invoiced at
           (billed.project_code, billed.worked_on, billed.role, billed.cost_currency)
               is not distinct from (billable.project_code, billable.worked_on, billable.role, billable.cost_currency)
               as is_alike,
           billed.hourly_rate as billed_rate, billed.fx_rate as billed_fx_rate
    from billable
    left join last billed using (entry_key)
),
priced as (
    select matched.*, case when is_alike then billed_rate else rate.hourly_rate end as hourly_rate,
           case when is_alike then billed_fx_rate when cost_currency = currency then 1 else day_rate.rate end as fx_rate
    from matched
    left join core.rate on rate.rate_card_id = matched.rate_card_id and rate.role = matched.role
        and worked_on >= rate.valid_from and (rate.valid_to is null or worked_on <= rate.valid_to)
    left join day_rate using (cost_currency, currency, worked_on)
),
compared as (
    select *, billing.round_money(coalesce(minutes * hourly_rate / 60, cost * fx_rate), currency) as amount from priced
),
line as (
    select entry_key || '.' || version as first_id, case when amount is null then 'unrated' else 'charge' end as kind,
           source, entry_key, time_entry_id, expense_entry_id, version, project_code, worked_on, role, minutes, hourly_rate,
           category, cost, cost_currency, fx_rate, amount, currency
    from compared
    where not is_same
    union all
    select billed.charge_id || '.R', 'reversal', billed.source, billed.entry_key, billed.time_entry_id,
           billed.expense_entry_id, billed.version, billed.project_code, billed.worked_on, billed.role, -billed.minutes,
           billed.hourly_rate, billed.category, -billed.cost, billed.cost_currency, billed.fx_rate, -billed.amount,
           billed.currency
    from billed
    left join compared on compared.billed_id = billed.charge_id
    where (compared.billed_id is null
           -- a later month's charge is not taken back because an earlier month is billed
           and (billed.worked_on <= %(until)s
                or exists (select from billable where billable.entry_key = billed.entry_key)))
       or (not compared.is_same and compared.amount is not null)
),
voided as (  -- billed before, on invoices that were voided
    select regexp_replace(charge_id, '~\d+$', '') as first_id, count(*) as times
    from billing.void_charge
    group by 1
)
insert into billing_difference
select line.first_id || coalesce('~' || (voided.times + 1), ''), line.kind, line.source, line.entry_key,
       line.time_entry_id, line.expense_entry_id, line.version, line.project_code, line.worked_on, line.role, line.minutes,
       line.hourly_rate, line.category, line.cost, line.cost_currency, line.fx_rate, line.amount, line.currency
from line
left join voided using (first_id)
