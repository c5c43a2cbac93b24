-- One dated price; unchanged rows are not touched.
insert into core.rate values (%(rate_card_id)s, %(role)s, %(valid_from)s, %(valid_to)s, %(hourly_rate)s)
on conflict (rate_card_id, role, valid_from) do update
set valid_to = excluded.valid_to, hourly_rate = excluded.hourly_rate
where rate.* is distinct from excluded.*
