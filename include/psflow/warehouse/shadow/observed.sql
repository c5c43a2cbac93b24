-- Every compared line, those that differ first; with what the ledger has of the entry already.
select compared.*, compared.billed_amount - compared.should_amount as difference, project.engagement_id, contract.contract_id,
       exists (select from billing.live_charge live where live.entry_key = compared.entry_key) as is_billed
from shadow_compared compared
left join core.project using (project_code)
left join core.contract using (engagement_id)
order by cause is null, cause, project_code, worked_on, system, bill_id, line_id
