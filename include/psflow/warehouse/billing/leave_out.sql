-- What this batch does not bill of its entries, and why, both parts of an entry together.
with open as (
    select work.*, owed.cap_id, owed.minutes - under.minutes as over_minutes, owed.amount - under.amount as over_amount,
           under.minutes as under_minutes, owed.held, owed.held_for, owed.held_cap_id, owed.adjustment_id
    from billing_owed owed join billing_work work using (entry_key, component)
    cross join lateral (  -- what its caps let through
        select owed.take + owed.held as amount,
               case when owed.take + owed.held = owed.amount then owed.minutes
                    else trunc(work.minutes * (owed.take + owed.held) / nullif(owed.whole_amount, 0)) end as minutes) under
    where under.amount <> owed.amount or owed.held_for is not null
),
credited as (  -- what credits open again, by all payers or by one
    select work.entry_key, work.source, work.project_code, work.worked_on, max(work.cost) as cost,
           max(live.whole_amount) as whole_amount, work.currency,
           max(work.minutes) - coalesce(sum(live.minutes) filter (where fate = 'stays'), 0) - coalesce(max(open.minutes), 0)
               as minutes,
           max(live.whole_amount) - coalesce(sum(live.amount) filter (where fate = 'stays'), 0) - coalesce(max(open.amount), 0)
               as amount
    from billing_live live join billing_work work using (entry_key, component)
    left join (select owed.entry_key, owed.component, owed.minutes, owed.amount from billing_owed owed
               where adjustment_id is not null) open using (entry_key, component)
    where (live.entry_key, live.component) in (select entry_key, component from billing_live where fate = 'credited')
    group by work.entry_key, work.component, work.source, work.project_code, work.worked_on, work.currency
),
part as (
    select entry_key, 'over_cap' as reason, source, project_code, worked_on, over_minutes as minutes,
           cost * over_amount / nullif(whole_amount, 0) as cost, over_amount as amount, currency, cap_id, version
    from open where over_amount <> 0
    union all
    select entry_key, held_for, source, project_code, worked_on, under_minutes,
           case when held = whole_amount then cost else cost * held / nullif(whole_amount, 0) end, held, currency, held_cap_id,
           version
    from open where held_for is not null
    union all
    select adjustment.entry_key, 'written_off', work.source, work.project_code, work.worked_on,
           round(sum(adjustment.minutes)), min(cost) * sum(adjustment.amount) / nullif(min(whole_amount), 0),
           sum(adjustment.amount), work.currency, null, null
    from billing.adjustment
    join (select entry_key, source, project_code, worked_on, currency, min(cost) as cost, min(whole_amount) as whole_amount
          from billing_work
          where entry_key in (select entry_key from billing.adjustment where kind = 'write_off')
          group by entry_key, source, project_code, worked_on, currency) work using (entry_key)
    where kind = 'write_off'
    group by adjustment.entry_key, work.source, work.project_code, work.worked_on, work.currency
    union all
    select entry_key, 'credited', source, project_code, worked_on, minutes, cost * amount / nullif(whole_amount, 0), amount, currency,
           null, null
    from credited
    union all
    select entry_key, reason, source, project_code, worked_on, minutes, cost, null, currency, null, null
    from billing_difference where kind = 'unrated'
)
insert into billing_left (
    entry_key, reason, source, legal_entity_id, project_code, worked_on, minutes, cost, amount, currency, cap_id,
    new_version)
select entry_key, reason, source, %(entity)s, project_code, worked_on, sum(minutes), sum(cost), sum(amount), currency, max(cap_id),
       max(version) filter (where exists (select from billing_live live
                                          where live.entry_key = part.entry_key and fate = 'reversed'))
from part
group by entry_key, reason, source, project_code, worked_on, currency
