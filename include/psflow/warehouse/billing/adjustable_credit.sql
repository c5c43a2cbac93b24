-- What stands of an entry, or of one payer's part of it, and may be credited: its overtime first.
select component, sum(amount) as amount, sum(coalesce(billed_minutes, minutes)) as minutes, max(hourly_rate) as hourly_rate,
       max(day_rate) as day_rate, max(hours_per_day) as hours_per_day,
       billing_live.currency
from billing_live
join core.project using (project_code)
where entry_key = %(entry)s and fate = 'stays'
  and coalesce(payer_id, customer_id) = coalesce(%(payer)s, payer_id, customer_id)
group by component, billing_live.currency
order by component = 'overtime' desc
