-- What stands of an entry and may be credited: its overtime first.
select component, sum(amount) as amount, sum(coalesce(billed_minutes, minutes)) as minutes, max(hourly_rate) as hourly_rate,
       max(day_rate) as day_rate, max(hours_per_day) as hours_per_day, currency
from billing_live where entry_key = %(entry)s and fate = 'stays'
group by component, currency
order by component = 'overtime' desc
