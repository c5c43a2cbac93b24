-- How much of a person's time is billable: approved billable hours by the capacity of the week.
-- id:     utilization_weekly.v1
-- grain:  person x ISO week (Monday to Sunday, UTC dates)
-- unit:   hours; a ratio, 1 is all of the capacity
-- owner:  pmo
-- source: core.time_entry, core.time_entry_head, core.resource, core.capacity
create or replace view finance.utilization_weekly as
with worked as (
    select entry.resource_id, date_trunc('week', entry.worked_on)::date as week_starts_on,
           sum(entry.minutes) / 60.0 as worked_hours,
           coalesce(sum(entry.minutes) filter (where entry.is_billable), 0) / 60.0 as billable_hours
    from core.time_entry_head head
    join core.time_entry entry on (entry.time_entry_id, entry.version) = (head.time_entry_id, head.passed_version)
    where entry.is_approved and entry.resource_id is not null
    group by 1, 2
),
span as (
    select min(week_starts_on) as first_day, max(week_starts_on) + 6 as last_day from worked
),
employed as (
    select person.resource_id, week.starts_on::date as week_starts_on,
           least(week.starts_on::date + 6, person.employed_to) - greatest(week.starts_on::date, person.employed_from) + 1 as days
    from span
    cross join lateral generate_series(span.first_day, span.last_day, interval '1 week') as week (starts_on)
    join core.resource person
        on coalesce(person.employed_from <= week.starts_on::date + 6, true)
        and coalesce(person.employed_to >= week.starts_on::date, person.is_active)
),
capacity as (
    select given.resource_id, date_trunc('week', given.day)::date as week_starts_on, count(*) as days,
           sum(given.hours) as hours
    from span cross join lateral core.capacity(span.first_day, span.last_day) given
    group by 1, 2
),
week as (
    select coalesce(employed.resource_id, worked.resource_id) as resource_id,
           coalesce(employed.week_starts_on, worked.week_starts_on) as week_starts_on,
           coalesce(worked.billable_hours, 0) as billable_hours, coalesce(worked.worked_hours, 0) as worked_hours,
           case when employed.days = capacity.days then capacity.hours end as capacity_hours
    from employed
    full join worked using (resource_id, week_starts_on)
    left join capacity on (capacity.resource_id, capacity.week_starts_on) = (employed.resource_id, employed.week_starts_on)
)
select resource_id, person.role, person.region, to_char(week_starts_on, 'IYYY-"W"IW') as week, week_starts_on,
       round(billable_hours, 4) as billable_hours, round(worked_hours, 4) as worked_hours, capacity_hours,
       round(billable_hours / nullif(capacity_hours, 0), 4) as utilization,
       case when capacity_hours is null then 'capacity'
            when capacity_hours = 0 and billable_hours <> 0 then 'capacity: hours in a week without any' end as missing
from week
join core.resource person using (resource_id)
where capacity_hours is null or capacity_hours <> 0 or worked_hours <> 0;
comment on column finance.utilization_weekly.resource_id is 'The person; names stay out of this view.';
comment on column finance.utilization_weekly.role is 'Role of the person today.';
comment on column finance.utilization_weekly.region is 'Region of the person today.';
comment on column finance.utilization_weekly.week is 'ISO week, YYYY-Www.';
comment on column finance.utilization_weekly.week_starts_on is 'Monday of the week.';
comment on column finance.utilization_weekly.billable_hours is 'Numerator: approved billable hours.';
comment on column finance.utilization_weekly.worked_hours is 'All approved hours, billable or not.';
comment on column finance.utilization_weekly.capacity_hours is 'Denominator: hours of the work pattern on employed days less approved leave; null when a day has no pattern.';
comment on column finance.utilization_weekly.utilization is 'Billable by capacity hours, a ratio; null when capacity is unknown or 0. For several people divide the sums.';
comment on column finance.utilization_weekly.missing is 'What the ratio would need; null when it is there. A week without capacity and work has no row.';
grant select on finance.utilization_weekly to psflow_pmo;
