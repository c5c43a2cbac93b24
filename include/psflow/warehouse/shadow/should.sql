-- shadow: what the engine bills of each entry and item of some contracts, by its own staged tables
-- grain:  time entry (at its ordinary price where a part of it is overtime), expense or item of a contract
-- unit:   minutes; amount in the contract's currency; null where it has no price (reason says why)
-- reads:  billing_work, billing_owed, billing_live, billing.adjustment, billing.passed_entry, core.time_load
-- owner:  finance
with stood as (
    select entry_key, component, sum(amount) as amount, max(hourly_rate) as hourly_rate, max(day_rate) as day_rate,
           max(hours_per_day) as hours_per_day, max(rate_id) as rate_id,
           max(whole_minutes) as whole_minutes, max(fx_rate) as fx_rate, max(markup_pct) as markup_pct
    from billing_live where fate in ('stays', 'waits') group by entry_key, component
),
decided as (
    select entry_key, component, coalesce(sum(amount) filter (where kind = 'write_off'), 0) as lost,
           coalesce(sum(amount) filter (where kind = 'credit'), 0) as credited
    from billing.adjustment group by entry_key, component
),
told as (
    select work.*, owed.take, owed.amount - owed.take - owed.held as over_amount, owed.cap_id, owed.held_for,
           stood.amount as stood_amount,
           coalesce(stood.hourly_rate, work.hourly_rate) as priced_at,
           case when stood.hourly_rate is null then work.day_rate else stood.day_rate end as priced_a_day,
           coalesce(stood.hours_per_day, work.hours_per_day) as of_hours, coalesce(stood.rate_id, work.rate_id) as priced_by,
           coalesce(stood.fx_rate, work.fx_rate) as changed_at, coalesce(stood.markup_pct, work.markup_pct) as marked_up,
           coalesce(stood.whole_minutes, owed.whole_minutes, work.whole_minutes) as steps,
           coalesce(decided.lost, 0) + case when %(anew)s then coalesce(decided.credited, 0) else 0 end as lost_amount,
           case when %(anew)s then coalesce(decided.credited, 0) else 0 end as credited
    from billing_work work
    left join billing_owed owed using (entry_key, component)
    left join stood using (entry_key, component)
    left join decided using (entry_key, component)
    where work.contract_id = any(%(contracts)s) and work.worked_on between coalesce(%(since)s::date, '-infinity') and %(until)s
)
insert into shadow_should
select told.entry_key, told.source, told.contract_id, told.project_code, told.worked_on, max(load.loaded_at), sum(told.minutes),
       sum(case when coalesce(over_amount, 0) = 0 then steps
                else billing.minutes_worth(coalesce(stood_amount, 0) + take, nullif(priced_at, 0), priced_a_day, of_hours) end),
       (array_agg(priced_at order by component desc))[1], (array_agg(priced_by order by component desc))[1], max(changed_at),
       max(marked_up), sum(whole_amount), coalesce(sum(over_amount), 0), max(told.cap_id), sum(lost_amount),
       sum(case when told.reason is null or stood_amount is not null
                then coalesce(stood_amount, 0) + coalesce(take, 0) - credited end),
       told.currency, max(case when stood_amount is null then coalesce(told.reason, told.held_for) end), max(coalesce(told.category, told.role))
from told
left join billing.passed_entry passed using (entry_key)
left join core.time_load load using (load_id)
group by told.entry_key, told.source, told.contract_id, told.project_code, told.worked_on, told.currency
