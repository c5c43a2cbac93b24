-- The hours of one invoice as the customer pays them, in days where the price is by the day; a line that nets to nothing is
-- not on the document.
select line_key, role || case when is_overtime then ', overtime' else '' end as role,
       round(coalesce(billed_minutes, minutes) / 60.0, 4) as hours, hourly_rate,
       round(coalesce(billed_minutes, minutes) / (60 * hours_per_day), 4) as days, day_rate, amount,
       number as purchase_order, erp_tax
from billing.invoice_line
left join billing.purchase_order using (order_id)
left join billing.tax using (tax_id)
where invoice_key = %(invoice)s and invoice_line.category is null and (minutes, amount) <> (0, 0)
order by line_key
