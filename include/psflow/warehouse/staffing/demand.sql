-- The requests of one epoch that are not closed, with the planner's id of their project.
select request.request_id, request.engagement_id, request.role, request.skills, request.region, request.starts_on,
       request.ends_on, request.hours_per_day, project.project_code, planned.external_id as planner_project_id
from core.resource_request request
join core.project using (engagement_id)
join ops.crosswalk planned on (planned.kind, planned.entity_id, planned.system, planned.instance)
                            = ('project', project.project_code, %(system)s, %(instance)s)
where request.engagement_id = %(engagement_id)s and request.epoch = %(epoch)s and request.state <> 'closed'
order by request.request_id
