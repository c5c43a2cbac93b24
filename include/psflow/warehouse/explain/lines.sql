-- Invoice lines with what they are of.
select line.line_key, line.invoice_key, coalesce(line.role, line.category) as of_what, line.hourly_rate, line.minutes,
       coalesce(line.billed_minutes, line.minutes) as billed_minutes, line.amount, invoice.currency::text
from billing.invoice_line line
join billing.invoice using (invoice_key)
where line.invoice_key = any(%(invoices)s) and (%(line)s::text is null or line.line_key = %(line)s)
order by line.invoice_key, line.line_key
