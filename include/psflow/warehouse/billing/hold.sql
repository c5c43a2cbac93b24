-- Hold entries, and all entries of projects.
insert into billing.batch_hold (batch_id, time_entry_id)
select distinct batch_id, time_entry_id
from billing.batch_line
where batch_id = %(batch)s and (time_entry_id = any(%(entries)s) or project_code = any(%(projects)s))
on conflict do nothing
