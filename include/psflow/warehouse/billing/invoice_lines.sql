-- One line a role and rate, then one a category of expenses and items; its amount is the sum of its charges, never rounded again.
insert into billing.invoice_line (line_key, invoice_key, role, minutes, billed_minutes, hourly_rate, category, amount)
select invoice_key || '.' || row_number() over (partition by invoice_key order by role, hourly_rate, category),
       invoice_key, role, sum(minutes), sum(coalesce(billed_minutes, minutes)), hourly_rate, category, sum(content.amount)
from billing.batch_content content
join billing.invoice using (batch_id, project_code)
where batch_id = %(batch)s
group by invoice_key, role, hourly_rate, category
