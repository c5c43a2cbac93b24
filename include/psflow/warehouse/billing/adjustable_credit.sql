-- What stands of an entry and may be credited.
select sum(amount) as amount, sum(coalesce(billed_minutes, minutes)) as minutes, max(hourly_rate) as hourly_rate,
       currency
from billing_live where entry_key = %(entry)s and fate = 'stays'
group by currency
