-- billing: which part of an hour is overtime, where overtime is agreed; each part is priced and billed by itself
-- grain:  time entry and part (work, overtime) of a contract that has agreed on overtime
-- unit:   minutes worked; both parts add up to the entry
-- reads:  billing_passed, core.overtime, billing_live, billing.batch_content
-- owner:  finance
with entry as materialized (  -- hours of a week count from its first day, billed by us or not
    select entry_key, project_code, contract_id, resource_id, worked_on, role, minutes, contract_line,
           sum(minutes) over (partition by contract_id, who, worked_on order by entry_key collate "C"
                              rows unbounded preceding) as of_day,
           sum(minutes) over (partition by contract_id, who, date_trunc('week', worked_on)
                              order by worked_on, entry_key collate "C" rows unbounded preceding) as of_week
    from billing_passed
    cross join lateral (select coalesce(resource_id, entry_key) as who) person
    where source = 'time' and is_by_itself
      and worked_on >= date_trunc('week', greatest(%(starts_on)s::date, %(since)s::date, '-infinity'))
      and contract_id in (select contract_id from core.overtime)
),
rule as (
    select *, lead(valid_from) over (partition by contract_id order by valid_from) as valid_before
    from (select distinct on (contract_id, valid_from) * from core.overtime
          order by contract_id, valid_from, overtime_id desc) newest
),
billed as (  -- else as frozen
    select distinct on (entry_key) *
    from (select entry_key, component, version, seq, project_code, worked_on, role, resource_id, entry_minutes, contract_line,
                 hourly_rate, day_rate, hours_per_day, rate_id, overtime_id, true as is_billed
          from billing_live where source = 'time'
          union all
          select entry_key, component, version, seq, project_code, worked_on, role, resource_id, entry_minutes, contract_line,
                 hourly_rate, day_rate, hours_per_day, rate_id, overtime_id, false
          from billing.batch_content where batch_id = %(frozen)s and kind = 'charge' and source = 'time') price
    order by entry_key, is_billed desc, version desc, seq desc
),
faced as (
    select entry.*, billed.entry_key is not null as is_alike, billed.overtime_id, billed.component, billed.hourly_rate,
           billed.day_rate, billed.hours_per_day, billed.rate_id
    from entry
    left join billed
        on billed.entry_key = entry.entry_key
        and (billed.project_code, billed.worked_on, billed.role, coalesce(billed.resource_id, entry.resource_id),
             case when billed.entry_minutes is null then entry.contract_line else billed.contract_line end)
            is not distinct from (entry.project_code, entry.worked_on, entry.role, entry.resource_id, entry.contract_line)
),
ruled as (  -- what is billed stays under what was agreed when it was billed
    select faced.entry_key, minutes, agreed.overtime_id, agreed.multiplier, after_minutes,
           case per when 'day' then of_day else of_week end as so_far, rate_id, hours_per_day,
           hourly_rate / case when faced.component = 'overtime' then agreed.multiplier else 1 end as base_rate,
           day_rate / case when faced.component = 'overtime' then agreed.multiplier else 1 end as base_day_rate
    from faced
    join (select overtime_id, contract_id, per, after_minutes, multiplier, valid_from, valid_to, valid_before,
                 true as is_newest
          from rule
          union all
          select overtime_id, contract_id, per, after_minutes, multiplier, null, null, null, false from core.overtime) agreed
        on agreed.contract_id = faced.contract_id
        and case when is_alike then not is_newest and agreed.overtime_id = faced.overtime_id
                 else is_newest and worked_on >= valid_from and worked_on <= coalesce(valid_to, 'infinity')
                      and worked_on < coalesce(valid_before, 'infinity') end
),
part as (
    select ruled.*, split.component, split.minutes as part_minutes,
           case split.component when 'overtime' then multiplier else 1 end as times
    from ruled
    cross join lateral (
        select greatest(so_far - after_minutes, 0) - greatest(so_far - ruled.minutes - after_minutes, 0)) extra (minutes)
    cross join lateral (values ('work', ruled.minutes - extra.minutes), ('overtime', extra.minutes)) split (component, minutes)
    where split.minutes <> 0
)
insert into billing_part
select entry_key, component, part_minutes, overtime_id, nullif(times, 1), round(round(base_rate, 4) * times, 4),
       round(round(base_day_rate, 4) * times, 4), case when base_rate is not null and times is not null then hours_per_day end,
       case when times is not null then rate_id end
from part
