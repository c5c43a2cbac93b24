-- The invoices a batch would make: as billing/invoices.sql makes them, one a project and payer.
with billed as (
    select concat_ws('.', batch_id, project_code, payer_id) as invoice_key, project_code, payer_id, currency::text,
           trim_scale(round(coalesce(sum(minutes), 0) / 60.0, 4)) as hours,
           trim_scale(round(sum(coalesce(billed_minutes, minutes)) / 60.0, 4)) as billed_hours, count(*) as charges,
           sum(amount) as amount
    from billing.batch_content
    where batch_id = %(batch)s
    group by batch_id, project_code, payer_id, currency
),
taxed as (  -- no tax is not known while one is missing
    select concat_ws('.', batch_id, project_code, payer_id) as invoice_key, case when bool_and(tax is not null) then sum(tax) end as tax
    from billing.batch_tax where batch_id = %(batch)s group by batch_id, project_code, payer_id
)
select invoice_key, customer.name as customer, billed.payer_id, project_code, project.name as project, engagement_id, contract.contract_type,
       contract.tax_treatment, billed.currency, hours, billed_hours, charges, amount, tax, amount + tax as gross
from billed
join taxed using (invoice_key)
join core.project using (project_code)
join core.customer on customer.customer_id = coalesce(billed.payer_id, project.customer_id)
left join core.contract using (engagement_id)
order by customer.name, project_code, billed.payer_id
