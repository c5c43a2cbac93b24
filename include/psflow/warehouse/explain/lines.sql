-- Invoice lines with what they are of.
select line.line_key, line.invoice_key, line.hourly_rate, line.day_rate, line.hours_per_day, line.minutes,
       coalesce(line.role || case when line.is_overtime then ', overtime' else '' end, line.category) as of_what,
       coalesce(line.billed_minutes, line.minutes) as billed_minutes, line.amount, invoice.currency::text,
       number as purchase_order
from billing.invoice_line line
join billing.invoice using (invoice_key)
left join billing.purchase_order using (order_id)
where line.invoice_key = any(%(invoices)s) and (%(line)s::text is null or line.line_key = %(line)s)
order by line.invoice_key, line.line_key
