-- What an hour of a person costs from a day on; unchanged rows are not touched.
insert into core.cost_rate (resource_id, valid_from, valid_to, hourly_cost, currency)
values (%(resource_id)s, %(valid_from)s, %(valid_to)s, %(hourly_cost)s, %(currency)s)
on conflict (resource_id, valid_from) do update
set valid_to = excluded.valid_to, hourly_cost = excluded.hourly_cost, currency = excluded.currency
where cost_rate.* is distinct from excluded.*
