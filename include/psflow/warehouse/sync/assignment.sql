-- An allocation as the planner has it; unchanged rows are not touched.
insert into core.assignment (
    assignment_id, request_id, resource_id, project_code, starts_on, ends_on, hours_per_day, is_confirmed, modified_at)
values (%(assignment_id)s, %(request_id)s, %(resource_id)s, %(project_code)s, %(starts_on)s, %(ends_on)s, %(hours_per_day)s,
        %(is_confirmed)s, %(modified_at)s)
on conflict (assignment_id) do update
set resource_id = excluded.resource_id, project_code = excluded.project_code, starts_on = excluded.starts_on,
    ends_on = excluded.ends_on, hours_per_day = excluded.hours_per_day, modified_at = excluded.modified_at
where assignment.* is distinct from excluded.*
