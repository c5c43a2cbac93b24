-- Allocations of the window that the planner no longer has. `seen` holds its ids. One of ours that is still on its way
-- there, or came while the window was read, is not missing; a confirmed one was deleted by hand, and its request is over.
with gone as (
    delete from core.assignment
    where ends_on >= %(from_day)s and starts_on <= %(to_day)s
      and coalesce(modified_at, '-infinity') < %(began)s
      and case when request_id is null then substr(assignment_id, length(%(system)s) + 2) <> all(%(seen)s)
               else is_confirmed and not exists (
                   select from ops.crosswalk where (kind, entity_id, system) = ('assignment', request_id, %(system)s)
                                               and external_id = any(%(seen)s)) end
    returning request_id, resource_id, project_code
), closed as (
    update core.resource_request set state = 'closed' from gone where resource_request.request_id = gone.request_id
)
select request_id, resource_id, project_code from gone
