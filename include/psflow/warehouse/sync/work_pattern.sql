-- A person's hours of each weekday from a day on; unchanged rows are not touched.
insert into core.work_pattern (resource_id, valid_from, hours)
values (%(resource_id)s, %(valid_from)s, %(hours)s::numeric[])
on conflict (resource_id, valid_from) do update set hours = excluded.hours
where work_pattern.hours is distinct from excluded.hours
