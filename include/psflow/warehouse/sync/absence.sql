-- One day of leave; unchanged rows are not touched.
insert into core.absence (absence_id, resource_id, absent_on, hours, is_approved)
values (%(absence_id)s, %(resource_id)s, %(absent_on)s, %(hours)s, %(is_approved)s)
on conflict (absence_id, absent_on) do update
set resource_id = excluded.resource_id, hours = excluded.hours, is_approved = excluded.is_approved
where absence.* is distinct from excluded.*
