-- The terms a deal passed its gates with. They may change until a project that carries them may be there.
insert into core.contract (
    contract_id, engagement_id, legal_entity_id, contract_type, currency, rate_card_id, tax_treatment, delivery_region)
values (
    %(contract_id)s, %(engagement_id)s, %(legal_entity_id)s, %(contract_type)s, %(currency)s, %(rate_card_id)s,
    %(tax_treatment)s, %(delivery_region)s)
on conflict (engagement_id) do update
set legal_entity_id = excluded.legal_entity_id, contract_type = excluded.contract_type,
    currency = excluded.currency, rate_card_id = excluded.rate_card_id,
    tax_treatment = excluded.tax_treatment, delivery_region = excluded.delivery_region
where not exists (
    select from ops.effect where engagement_id = %(engagement_id)s and capability = 'create_project'
        and state <> 'refused' and effect_key = system || ':create_project:' || %(subject)s)
