-- A person as the PSA has them; unchanged rows are not touched.
insert into core.resource values (%(resource_id)s, %(name)s, %(role)s, %(is_active)s)
on conflict (resource_id) do update
set name = excluded.name, role = excluded.role, is_active = excluded.is_active
where resource.* is distinct from excluded.*
