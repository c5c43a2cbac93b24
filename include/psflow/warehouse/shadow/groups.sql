-- The entries of a project that no line names are what its lines of hours without an entry bill: one a price. A price that is
-- on one side only is paired with the one that is on the other only, in their order.
with loose as (
    delete from shadow_should entry
    where source = 'time' and amount is not null and amount <> 0
      and exists (select from shadow_billed billed where starts_with(billed.entry_key, 'hours of ')
                      and billed.project_code = entry.project_code and entry.worked_on <= billed.billed_on)
      and not exists (select from shadow_billed billed where billed.entry_key = entry.entry_key)
    returning *
),
priced as (
    select contract_id, project_code, hourly_rate, currency, max(worked_on) as worked_on, max(loaded_at) as loaded_at,
           sum(minutes) as minutes, sum(billed_minutes) as billed_minutes, sum(whole_amount) as whole_amount,
           sum(over_amount) as over_amount, max(cap_id) as cap_id, sum(lost_amount) as lost_amount, sum(amount) as amount,
           'entries ' || string_agg(entry_key, ', ' order by worked_on, entry_key) as says
    from loose group by contract_id, project_code, hourly_rate, currency
),
theirs as (
    select entry_key, project_code, hourly_rate,
           row_number() over (partition by project_code order by hourly_rate) as place
    from shadow_billed billed
    where starts_with(entry_key, 'hours of ')
      and not exists (select from priced where (priced.project_code, priced.hourly_rate) = (billed.project_code, billed.hourly_rate))
),
ours as (
    select priced.*, alike.entry_key as alike_key,
           row_number() over (partition by priced.project_code, alike.entry_key is null order by priced.hourly_rate) as place
    from priced
    left join shadow_billed alike on starts_with(alike.entry_key, 'hours of ')
        and (alike.project_code, alike.hourly_rate) = (priced.project_code, priced.hourly_rate)
)
insert into shadow_should (
    entry_key, source, contract_id, project_code, worked_on, loaded_at, minutes, billed_minutes, hourly_rate, whole_amount,
    over_amount, cap_id, lost_amount, amount, currency, says)
select coalesce(alike_key, theirs.entry_key, concat('hours of ', ours.project_code, ' at ', trim_scale(ours.hourly_rate))), 'time',
       contract_id, ours.project_code, worked_on, loaded_at, minutes, billed_minutes, ours.hourly_rate, whole_amount,
       over_amount, cap_id, lost_amount, amount, currency, says
from ours
left join theirs on alike_key is null and (theirs.project_code, theirs.place) = (ours.project_code, ours.place)
