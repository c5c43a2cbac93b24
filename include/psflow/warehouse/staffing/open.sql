-- Requests that wait for a person, of deals that are running, with what the systems call the project.
select request.request_id, request.engagement_id, request.role, request.skills, request.region, request.starts_on,
       request.ends_on, request.hours_per_day, request.state, project.project_code
from core.resource_request request
join core.engagement on (engagement.engagement_id, engagement.epoch) = (request.engagement_id, request.epoch)
join core.project on project.engagement_id = request.engagement_id
join ops.workflow on (workflow.engagement_id, workflow.epoch) = (request.engagement_id, request.epoch)
where request.state in ('open', 'unstaffed') and workflow.state in ('activating', 'active') and lost_at is null
order by request.starts_on, request.request_id
