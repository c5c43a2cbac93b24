-- Assignments of ours that planner or PSA may lack, with what each calls person, project and request.
select request.request_id, request.engagement_id, request.role, request.skills, request.region,
       assignment.resource_id, assignment.project_code, assignment.starts_on, assignment.ends_on, assignment.hours_per_day,
       (select external_id from ops.crosswalk where (kind, entity_id, system, instance)
            = ('resource', assignment.resource_id, %(planner)s, %(planner_instance)s)) as planner_person_id,
       (select external_id from ops.crosswalk where (kind, entity_id, system, instance)
            = ('project', assignment.project_code, %(planner)s, %(planner_instance)s)) as planner_project_id,
       (select external_id from ops.crosswalk where (kind, entity_id, system, instance)
            = ('resource_request', request.request_id, %(planner)s, %(planner_instance)s)) as planner_request_id,
       (select external_id from ops.crosswalk where (kind, entity_id, system, instance)
            = ('resource', assignment.resource_id, %(psa)s, %(psa_instance)s)) as psa_person_id,
       (select external_id from ops.crosswalk where (kind, entity_id, system, instance)
            = ('project', assignment.project_code, %(psa)s, %(psa_instance)s)) as psa_project_id
from core.assignment
join core.resource_request request using (request_id)
join ops.workflow on (workflow.engagement_id, workflow.epoch) = (request.engagement_id, request.epoch) and lost_at is null
where not assignment.is_confirmed
order by request.request_id
