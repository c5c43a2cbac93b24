-- A request and who takes it; not confirmed before planner and PSA have it.
insert into core.assignment (
    assignment_id, request_id, resource_id, project_code, starts_on, ends_on, hours_per_day, is_confirmed)
values (%(request_id)s, %(request_id)s, %(resource_id)s, %(project_code)s, %(starts_on)s, %(ends_on)s,
        %(hours_per_day)s, false)
