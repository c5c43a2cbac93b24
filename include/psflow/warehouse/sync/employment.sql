-- Which company employs a person from a day on, as HR writes it; unchanged rows are not touched.
insert into core.employment (resource_id, valid_from, employer)
values (%(resource_id)s, %(valid_from)s, %(employer)s)
on conflict (resource_id, valid_from) do update set employer = excluded.employer
where employment.employer is distinct from excluded.employer
