-- The contracts of a legal entity, and whose number their invoices are.
select contract_id, project_code, billing.number_owner(legal_entity_id, contract_id) as owner
from core.contract
join core.project using (engagement_id)
where legal_entity_id = %(entity)s
order by contract_id
