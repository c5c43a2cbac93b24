-- Projects of a batch with work that no tax fits, or whose tax asks for the buyer's VAT id and finds none, of the first such payer.
select distinct on (project_code) project_code, engagement_id, contract.tax_treatment as treatment, customer.country, customer.vat_id,
       min(worked_on) filter (where tax.tax_id is null and kind = 'charge') as first_on, sum(line.amount) as amount,
       line.currency::text
from billing.batch_content line
join core.project using (project_code)
join core.customer on customer.customer_id = coalesce(line.payer_id, project.customer_id)
left join core.contract using (engagement_id)
left join billing.tax using (tax_id)
where batch_id = %(batch)s
group by project_code, engagement_id, contract.tax_treatment, customer.country, customer.vat_id, line.currency, line.payer_id
having bool_or(tax.tax_id is null and kind = 'charge') or bool_or(tax.category in ('AE', 'K')) and customer.vat_id is null
order by project_code, line.payer_id nulls first
