-- Which of our records one of a system's may be, the likeliest first, and what a person said.
select candidate.*, coalesce(customer.name, resource.name) as name
from ops.match_candidate candidate
left join core.customer on candidate.entity = 'customer' and customer_id = entity_id
left join core.resource on candidate.entity = 'resource' and resource_id = entity_id
where (candidate.entity, system, external_id) = (%(entity)s, %(system)s, %(record)s)
order by score desc, entity_id
