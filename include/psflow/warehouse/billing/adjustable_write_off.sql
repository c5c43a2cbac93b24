-- What is not billed of an entry and may be written off.
select amount, owed.billed_minutes as minutes, owed.hourly_rate, currency
from billing_owed owed join billing_work work using (entry_key)
where entry_key = %(entry)s and adjustment_id is null
