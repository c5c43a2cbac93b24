-- A deliverable as the PSA has it; unchanged rows are not touched.
insert into core.milestone (milestone_id, project_ref, title, due_on, is_done, modified_at)
values (%(milestone_id)s, %(project_ref)s, %(title)s, %(due_on)s, %(is_done)s, %(modified_at)s)
on conflict (milestone_id) do update
set project_ref = excluded.project_ref, title = excluded.title, due_on = excluded.due_on,
    is_done = excluded.is_done, modified_at = excluded.modified_at
where milestone.* is distinct from excluded.*
