-- The terms a deal passed its gates with; signed once.
insert into core.contract (contract_id, engagement_id, legal_entity_id, contract_type, currency, rate_card_id)
values (%(contract_id)s, %(engagement_id)s, %(legal_entity_id)s, %(contract_type)s, %(currency)s, %(rate_card_id)s)
on conflict (engagement_id) do nothing
