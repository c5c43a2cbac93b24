-- The taxes of one invoice; what was billed before taxes were kept has none.
select category, rate_pct, reason_code, reason, taxable, tax
from billing.invoice_tax
where invoice_key = %(invoice)s and category is not null
order by category, rate_pct, reason_code
