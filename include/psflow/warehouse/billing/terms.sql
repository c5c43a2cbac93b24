-- What contracts of a legal entity bill beside hours and expenses: the newest version of each term, on its project.
select distinct on (contract_id, term_id) contract_id, term_id, term.version, term.kind, term.terms, contract.currency,
       project.project_code, project.customer_id
from core.contract_term term
join core.contract using (contract_id)
join core.project using (engagement_id)
where contract.legal_entity_id = %(entity)s
order by contract_id, term_id, term.version desc
