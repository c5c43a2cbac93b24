-- What the tax of a project's work hangs on: the treatment of its contract, and where the buyer is; another payer by itself.
select project_code, buyer.payer_id, contract.tax_treatment as treatment, customer.country, customer.vat_id
from core.project
join core.contract using (engagement_id)
cross join lateral (
    select null as payer_id
    union
    select share.payer_id from core.split join core.split_share share using (split_id)
    where split.contract_id = contract.contract_id and share.payer_id <> project.customer_id) buyer
join core.customer on customer.customer_id = coalesce(buyer.payer_id, project.customer_id)
where contract.legal_entity_id = %(entity)s
