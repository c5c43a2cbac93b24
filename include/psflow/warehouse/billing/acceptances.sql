-- The milestones of a legal entity's contracts that were accepted, and by whom.
select contract_id, milestone_id, accepted_on, accepted_by, delivered_by, evidence
from core.acceptance
join core.contract using (contract_id)
where legal_entity_id = %(entity)s
