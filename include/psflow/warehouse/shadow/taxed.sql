-- The tax of what the engine bills of a month, charge by charge.
insert into shadow_tax (charge_id, entry_key, project_code, payer_id, worked_on, currency, amount, tax_id)
select charge_id, entry_key, project_code, payer_id, worked_on, line.currency, amount, tax_id
from billing_difference line
join core.project using (project_code)
join core.contract using (engagement_id)
where kind = 'charge' and contract_id = any(%(contracts)s) and worked_on between %(since)s and %(until)s
