-- A company of ours as psflow.yaml has it; unchanged rows are not touched.
insert into core.legal_entity (legal_entity_id, name, currency, billing_starts_on, rate_levels, rate_specificity)
values (%(legal_entity_id)s, %(name)s, %(currency)s, %(billing_starts_on)s, %(rate_levels)s, %(rate_specificity)s)
on conflict (legal_entity_id) do update
set name = excluded.name, currency = excluded.currency, billing_starts_on = excluded.billing_starts_on,
    rate_levels = excluded.rate_levels, rate_specificity = excluded.rate_specificity
where legal_entity.* is distinct from excluded.*
