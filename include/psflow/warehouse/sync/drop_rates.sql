-- Rates the card no longer has. What was billed keeps its own price on the charge.
delete from core.rate
where rate_card_id = %(card)s
  and (role, valid_from) not in (select * from unnest(%(roles)s::text[], %(days)s::date[]))
