-- The invoices a batch would make: as billing/invoices.sql makes them, one a project.
with billed as (
    select batch_id || '.' || project_code as invoice_key, project_code, currency::text,
           trim_scale(round(coalesce(sum(minutes), 0) / 60.0, 4)) as hours,
           trim_scale(round(sum(coalesce(billed_minutes, minutes)) / 60.0, 4)) as billed_hours, count(*) as charges,
           sum(amount) as amount
    from billing.batch_content
    where batch_id = %(batch)s
    group by batch_id, project_code, currency
),
taxed as (  -- no tax is not known while one is missing
    select project_code, case when bool_and(tax is not null) then sum(tax) end as tax
    from billing.batch_tax where batch_id = %(batch)s group by project_code
)
select invoice_key, customer.name as customer, project_code, project.name as project, engagement_id, contract.contract_type,
       contract.tax_treatment, billed.currency, hours, billed_hours, charges, amount, tax,
       amount + tax as gross
from billed
join taxed using (project_code)
join core.project using (project_code)
join core.customer using (customer_id)
left join core.contract using (engagement_id)
order by customer.name, project_code
