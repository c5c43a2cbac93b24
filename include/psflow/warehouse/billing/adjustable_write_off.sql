-- What is not billed of an entry and may be written off: its overtime first.
select component, amount, owed.billed_minutes as minutes, owed.hourly_rate, owed.day_rate, owed.hours_per_day, currency
from billing_owed owed join billing_work work using (entry_key, component)
where entry_key = %(entry)s and adjustment_id is null
order by component = 'overtime' desc
