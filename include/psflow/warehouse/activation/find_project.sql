-- A project with what its systems need to know.
select project.project_code, project.engagement_id, project.name, project.currency, project.rate_card_id,
       project.starts_on, project.ends_on, engagement.opportunity_id,
       project.customer_id, customer.name as customer_name, customer.street, customer.city, customer.country
from core.project
join core.engagement using (engagement_id)
join core.customer on customer.customer_id = project.customer_id
where engagement_id = %(engagement_id)s
