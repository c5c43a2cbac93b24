-- Their lines, as billing/invoice_lines.sql makes them.
select batch_id || '.' || project_code as invoice_key,
       batch_id || '.' || project_code || '.' || row_number() over (partition by project_code order by role, hourly_rate, category)
           as line_key,
       coalesce(role, category) as of_what, trim_scale(round(coalesce(sum(minutes), 0) / 60.0, 4)) as hours,
       trim_scale(round(sum(coalesce(billed_minutes, minutes)) / 60.0, 4)) as billed_hours, hourly_rate, count(*) as charges,
       sum(amount) as amount, currency::text
from billing.batch_content
where batch_id = %(batch)s
group by batch_id, project_code, role, hourly_rate, category, currency
order by project_code, row_number() over (partition by project_code order by role, hourly_rate, category)
