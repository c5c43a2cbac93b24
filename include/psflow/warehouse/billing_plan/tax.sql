-- Nets by tax treatment; the tax itself is the ERP's, on the document.
select coalesce(contract.tax_treatment, 'not said') as tax_treatment, billed.currency, count(*) as invoices,
       sum(billed.amount) as amount
from (select project_code, payer_id, currency::text, sum(amount) as amount
      from billing.batch_content where batch_id = %(batch)s group by project_code, payer_id, currency) billed
join core.project using (project_code)
left join core.contract using (engagement_id)
group by contract.tax_treatment, billed.currency
order by contract.tax_treatment, billed.currency
