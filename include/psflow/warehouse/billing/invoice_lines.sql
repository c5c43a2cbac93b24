-- One line a role and rate (by the hour or day, overtime by itself), then one a category of expenses and items, each purchase
-- order and tax by itself; its amount is the sum of its charges, never rounded again.
insert into billing.invoice_line (
    line_key, invoice_key, role, minutes, billed_minutes, hourly_rate, day_rate, hours_per_day, is_overtime, category,
    order_id, tax_id, amount)
select invoice_key || '.' || row_number() over (partition by invoice_key order by role, hourly_rate, category, day_rate,
                                              hours_per_day, is_overtime, order_id, tax_id),
       invoice_key, role, minutes, billed_minutes, hourly_rate, day_rate, hours_per_day, is_overtime, category,
       order_id, tax_id, amount
from (
    select billing.invoice_key(%(batch)s, project_code, payer_id) as invoice_key,
           role, sum(minutes) as minutes, sum(coalesce(billed_minutes, minutes)) as billed_minutes, hourly_rate, day_rate,
           hours_per_day, component = 'overtime' as is_overtime, category, order_id, tax_id, sum(amount) as amount
    from billing.batch_content content
    where batch_id = %(batch)s
    group by project_code, payer_id, role, hourly_rate, day_rate, hours_per_day, component = 'overtime', category, order_id,
             tax_id
) line
