-- Projects of a batch with work that no tax fits, or whose tax asks for the buyer's VAT id and finds none; the first day of it.
select project_code, engagement_id, contract.tax_treatment as treatment, customer.country, customer.vat_id,
       min(worked_on) filter (where tax.tax_id is null and kind = 'charge') as first_on, sum(line.amount) as amount,
       line.currency::text
from billing.batch_content line
join core.project using (project_code)
join core.customer using (customer_id)
left join core.contract using (engagement_id)
left join billing.tax using (tax_id)
where batch_id = %(batch)s
group by project_code, engagement_id, contract.tax_treatment, customer.country, customer.vat_id, line.currency
having bool_or(tax.tax_id is null and kind = 'charge') or bool_or(tax.category in ('AE', 'K')) and customer.vat_id is null
order by project_code
