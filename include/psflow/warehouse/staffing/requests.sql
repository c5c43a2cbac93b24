-- The demand of a deal that passed its gates: one request for each line that names a role. What was decided first stays.
insert into core.resource_request (request_id, engagement_id, epoch, role, skills, region, starts_on, ends_on, hours_per_day)
select engagement.engagement_id || '.' || engagement.epoch || '.R' || row_number() over (order by line.line_id),
       engagement.engagement_id, engagement.epoch, line.role, line.skills, contract.delivery_region,
       coalesce(line.starts_on, opportunity.starts_on), coalesce(line.ends_on, opportunity.ends_on), line.hours_per_day
from core.engagement
join core.opportunity using (opportunity_id)
join core.contract using (engagement_id)
join core.opportunity_line line using (opportunity_id)
where engagement.engagement_id = %(engagement_id)s and line.role is not null and line.hours_per_day > 0
on conflict (request_id) do nothing
