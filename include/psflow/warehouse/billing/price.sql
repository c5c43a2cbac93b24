-- billing: what each hour and expense up to a day is worth, or the reason why that is not known (held, never 0)
-- grain:  time or expense entry, the version that passed its gate; of an hour with overtime each of its two parts
-- unit:   minutes; cost as paid; amount in the contract's currency, rounded once, half away from zero
-- reads:  billing_passed, billing_rate, core.increment, core.expense_policy, core.fx_rate, billing_live, billing_part
-- owner:  finance
with billable as not materialized (  -- what was done before we bill was billed elsewhere
    select * from billing_passed
    where is_by_itself and worked_on >= greatest(%(starts_on)s::date, %(since)s::date, '-infinity')
),
step as (
    select *, lead(valid_from) over (partition by customer_id order by valid_from) as valid_before from core.increment
),
stepped as (  -- in steps of an entry, or of a person's day on a project: what the day gains with the entry
    select entry_key,
           case per when 'entry' then billing.in_steps(billable.minutes, step.minutes, rounding, minimum_minutes)
                else billing.in_steps(sum(billable.minutes) over day, step.minutes, rounding, minimum_minutes)
                     - billing.in_steps(sum(billable.minutes) over day - billable.minutes, step.minutes, rounding,
                                        minimum_minutes) end as minutes
    from billable
    join step on step.customer_id = billable.customer_id and worked_on >= step.valid_from
        and (valid_before is null or worked_on < valid_before)
    where source = 'time'
    window day as (partition by billable.customer_id, project_code, resource_id, worked_on order by entry_key collate "C"
                   rows unbounded preceding)
),
policy as (
    select *, lead(valid_from) over (partition by contract_id, category order by valid_from) as valid_before
    from core.expense_policy
),
last as (  -- as billed, else as frozen
    select distinct on (entry_key, component) *
    from (select entry_key, component, version, seq, project_code, worked_on, role, cost_currency, resource_id, entry_minutes,
                 contract_line, hourly_rate, day_rate, hours_per_day, rate_id, fx_rate, markup_pct, true as is_billed
          from billing_live
          union all
          select entry_key, component, version, seq, project_code, worked_on, role, cost_currency, resource_id, entry_minutes,
                 contract_line, hourly_rate, day_rate, hours_per_day, rate_id, null, null, false
          from billing.batch_content where batch_id = %(frozen)s and kind = 'charge' and source = 'time') price
    order by entry_key, component, is_billed desc, version desc, seq desc
),
faced as (  -- what is corrected keeps the price it was invoiced at
    select billable.*, coalesce(part.component, 'work') as component, coalesce(part.minutes, billable.minutes) as part_minutes,
           part.overtime_id, part.multiplier,
           (last.project_code, last.worked_on, last.role, last.cost_currency, coalesce(last.resource_id, billable.resource_id),
            case when last.entry_minutes is null then billable.contract_line else last.contract_line end)
               is not distinct from (billable.project_code, billable.worked_on, billable.role, billable.cost_currency,
                                     billable.resource_id, billable.contract_line)
               and last.entry_key is not null or part.hourly_rate is not null as is_alike,
           coalesce(last.hourly_rate, part.hourly_rate) as last_rate, coalesce(last.rate_id, part.rate_id) as last_rate_id,
           case when last.entry_key is null then part.day_rate else last.day_rate end as last_day_rate,
           coalesce(last.hours_per_day, part.hours_per_day) as last_hours_per_day, last.fx_rate as last_fx_rate,
           last.markup_pct as last_markup_pct
    from billable
    left join billing_part part using (entry_key)
    left join last on (last.entry_key, last.component) = (billable.entry_key, coalesce(part.component, 'work'))
),
priced as (
    select faced.*, case when is_alike then last_rate when multiplier is null then rated.hourly_rate
                         else round(rated.hourly_rate * multiplier, 4) end as hourly_rate,
           case when is_alike then last_day_rate when multiplier is null then rated.day_rate
                else round(rated.day_rate * multiplier, 4) end as day_rate,
           case when is_alike then last_hours_per_day else rated.hours_per_day end as hours_per_day,
           case when is_alike then last_rate_id else rated.rate_id end as rate_id,
           case when not is_alike then rated.ties end as ties,
           case when is_alike then last_fx_rate when faced.cost_currency = faced.currency then 1
                when source = 'expense' then (
                    select rate from core.fx_rate
                    where (from_currency, to_currency) = (faced.cost_currency, faced.currency) and valid_on <= faced.worked_on
                    order by valid_on desc limit 1) end as fx_rate,
           case when is_alike then coalesce(last_markup_pct, 0) else coalesce(policy.markup_pct, 0) end as new_markup_pct,
           case when part_minutes = faced.minutes then coalesce(stepped.minutes, faced.minutes)
                when component = 'work'
                    then coalesce(stepped.minutes, faced.minutes)
                         - round(coalesce(stepped.minutes, faced.minutes) * (faced.minutes - part_minutes) / faced.minutes, 6)
                else round(coalesce(stepped.minutes, faced.minutes) * part_minutes / faced.minutes, 6) end as whole_minutes,
           case when unit_price is not null then unit_price * quantity
                when unit_limit is not null then
                    sign(faced.cost) * least(abs(faced.cost) - coalesce(recoverable_tax, 0), unit_limit * quantity)
                else faced.cost - coalesce(recoverable_tax, 0) end as billable_cost,
           num_nonnulls(unit_price, unit_limit) > 0 and quantity is null as lacks_quantity
    from faced
    left join billing_rate rated on rated.asks = faced.asks and is_overtime = (component = 'overtime' and multiplier is null)
        and faced.worked_on >= rated.valid_from and (rated.valid_before is null or faced.worked_on < rated.valid_before)
    left join stepped on stepped.entry_key = faced.entry_key
    left join policy on policy.contract_id = faced.contract_id and policy.category = faced.category
        and faced.worked_on >= policy.valid_from and (policy.valid_before is null or faced.worked_on < policy.valid_before)
    offset 0  -- or a price would be worked out as often as it is named below
)
insert into billing_work (
    source, entry_key, time_entry_id, expense_entry_id, version, project_code, contract_id, customer_id, contract_line,
    resource_id, worked_on, role, component, minutes, hourly_rate, day_rate, hours_per_day, overtime_id, rate_id, category,
    cost, cost_currency, fx_rate, whole_minutes, billable_cost, markup_pct, whole_amount, currency, reason)
select source, entry_key, time_entry_id, expense_entry_id, version, project_code, contract_id, customer_id, contract_line,
       resource_id, worked_on, role, component, part_minutes, hourly_rate, day_rate, hours_per_day, overtime_id, rate_id,
       category, cost, cost_currency, fx_rate, whole_minutes, billable_cost, case when source = 'expense' then new_markup_pct end,
       case when coalesce(ties, 1) = 1 then billing.round_money(
           coalesce(billing.worth(whole_minutes, hourly_rate, day_rate, hours_per_day),
                    billable_cost * fx_rate * (1 + new_markup_pct / 100)), currency) end,
       currency,
       case when source = 'time' and hourly_rate is null then 'RATE_MISSING' when ties > 1 then 'RATE_AMBIGUOUS'
            when source = 'expense' and fx_rate is null then 'FX_MISSING' when lacks_quantity then 'QUANTITY_MISSING' end
from priced
