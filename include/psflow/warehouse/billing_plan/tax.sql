-- The taxes of those invoices: one a category and rate, on the sum of the nets.
select concat_ws('.', batch_id, project_code, payer_id) as invoice_key, customer.name as customer, customer.country, customer.vat_id,
       contract.tax_treatment, category as tax_category, trim_scale(rate_pct) as tax_pct,
       case when category is not null then coalesce(reason || ' (' || reason_code || ')', reason_code)
            when tax is null then 'no tax fits, so the invoice will wait'
            else 'taken back as it was billed, before taxes were kept' end as tax_reason,
       taxable, tax, batch_tax.currency::text
from billing.batch_tax
join core.project using (project_code)
join core.customer on customer.customer_id = coalesce(payer_id, project.customer_id)
left join core.contract using (engagement_id)
where batch_id = %(batch)s
order by customer.name, project_code, payer_id, category, rate_pct, reason_code
