-- A rate card's head; unchanged rows are not touched.
insert into core.rate_card values (%(rate_card_id)s, %(name)s, %(currency)s)
on conflict (rate_card_id) do update
set name = excluded.name, currency = excluded.currency
where rate_card.* is distinct from excluded.*
