-- Their lines, as billing/invoice_lines.sql makes them.
with line as (
    select concat_ws('.', batch_id, project_code, payer_id) as invoice_key, project_code, payer_id, role, hourly_rate, category, day_rate, hours_per_day,
           component = 'overtime' as is_overtime, order_id, tax_id, sum(minutes) as minutes,
           sum(coalesce(billed_minutes, minutes)) as billed_minutes, count(*) as charges, sum(amount) as amount,
           currency::text,
           row_number() over (partition by project_code, payer_id
                              order by role, hourly_rate, category, day_rate, hours_per_day, component = 'overtime',
                                      order_id, tax_id) as place
    from billing.batch_content
    where batch_id = %(batch)s
    group by batch_id, project_code, payer_id, role, hourly_rate, category, day_rate, hours_per_day, component = 'overtime',
            order_id, tax_id, currency
)
select invoice_key, invoice_key || '.' || place as line_key,
       coalesce(role || case when is_overtime then ', overtime' else '' end, line.category) as of_what,
       trim_scale(round(coalesce(minutes, 0) / 60.0, 4)) as hours, trim_scale(round(billed_minutes / 60.0, 4)) as billed_hours,
       hourly_rate, trim_scale(round(billed_minutes / (60 * hours_per_day), 4)) as billed_days, day_rate, charges, amount, currency,
       number as purchase_order, tax.category as tax_category, trim_scale(rate_pct) as tax_pct
from line
left join billing.purchase_order using (order_id)
left join billing.tax using (tax_id)
order by project_code, payer_id nulls first, place
