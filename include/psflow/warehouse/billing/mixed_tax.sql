-- Projects of a batch with an invoice that would have category O beside another tax, which EN 16931 forbids, of the first such
-- payer. Looked for only where the legal entity has such taxes.
select distinct on (project_code) project_code, engagement_id, batch_tax.currency::text, sum(taxable) as amount,
       string_agg(category || case when rate_pct > 0 then ' ' || trim_scale(rate_pct) || ' %%' else '' end
                  || coalesce(' (' || reason_code || ')', ''), ' and ' order by category, rate_pct, reason_code) as taxes
from billing.batch_tax
join core.project using (project_code)
where batch_id = %(batch)s
  and (select bool_or(category = 'O') and count(*) > 1 from billing.tax
       where legal_entity_id = (select legal_entity_id from billing.batch where batch_id = %(batch)s))
group by project_code, payer_id, engagement_id, batch_tax.currency
having bool_or(category = 'O') and count(category) > 1
order by project_code, payer_id nulls first
