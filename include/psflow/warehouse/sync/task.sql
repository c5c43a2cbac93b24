-- A piece of work as the PSA has it; unchanged rows are not touched.
insert into core.task (task_id, project_ref, title, is_billable, is_done, modified_at)
values (%(task_id)s, %(project_ref)s, %(title)s, %(is_billable)s, %(is_done)s, %(modified_at)s)
on conflict (task_id) do update
set project_ref = excluded.project_ref, title = excluded.title, is_billable = excluded.is_billable,
    is_done = excluded.is_done, modified_at = excluded.modified_at
where task.* is distinct from excluded.*
