-- A person as those who own the fields have them; unchanged rows are not touched.
insert into core.resource (resource_id, name, role, is_active, work_email, region, employed_from, employed_to, skills)
values (%(resource_id)s, %(name)s, %(role)s, %(is_active)s, %(work_email)s, %(region)s, %(employed_from)s, %(employed_to)s,
        %(skills)s::text[])
on conflict (resource_id) do update
set name = excluded.name, role = excluded.role, is_active = excluded.is_active, work_email = excluded.work_email,
    region = excluded.region, employed_from = excluded.employed_from, employed_to = excluded.employed_to,
    skills = excluded.skills
where resource.* is distinct from excluded.*
