-- What the tax of a project's work hangs on: the treatment of its contract, and where the buyer is.
select project_code, contract.tax_treatment as treatment, customer.country, customer.vat_id
from core.project
join core.contract using (engagement_id)
join core.customer using (customer_id)
where contract.legal_entity_id = %(entity)s
