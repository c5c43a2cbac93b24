-- The hours of one invoice as the customer pays them; a line that nets to nothing is not on the document.
select line_key, role, round(coalesce(billed_minutes, minutes) / 60.0, 4) as hours, hourly_rate, amount
from billing.invoice_line
where invoice_key = %(invoice)s and category is null and (minutes, amount) <> (0, 0)
order by line_key
