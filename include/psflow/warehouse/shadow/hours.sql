-- Lines of hours that name no entry are one a project and price: what stands on several lines or bills is added up.
with loose as (
    delete from shadow_billed where entry_key is null and minutes is not null and project_code is not null returning *
)
insert into shadow_billed (
    system, bill_id, line_id, entry_key, project_code, billed_on, billed_at, is_final, minutes, billed_minutes, hourly_rate,
    amount, currency, says)
select system, string_agg(distinct bill_id, ', '), string_agg(line_id, ', ' order by line_id),
       concat('hours of ', project_code, ' at ', trim_scale(hourly_rate)), project_code, max(billed_on), max(billed_at),
       bool_and(is_final), sum(minutes), sum(billed_minutes), hourly_rate,
       case when bool_and(amount is not null) then sum(amount) end, currency, 'hours without an entry'
from loose
group by system, project_code, hourly_rate, currency
