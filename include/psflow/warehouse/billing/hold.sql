-- Hold entries, and all entries of projects.
insert into billing.batch_hold (batch_id, entry_key)
select distinct batch_id, entry_key
from billing.batch_line
where batch_id = %(batch)s and (entry_key = any(%(entries)s) or project_code = any(%(projects)s))
on conflict do nothing
