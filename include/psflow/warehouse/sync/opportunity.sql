-- A deal as the CRM has it; an older version never replaces a newer one, unless that one is from the future.
insert into core.opportunity (
    opportunity_id, account_id, name, is_won, is_closed, amount, currency, legal_entity_value, rate_card_name,
    contract_type, tax_treatment, delivery_region, starts_on, ends_on, modified_at)
values (
    %(opportunity_id)s, %(account_id)s, %(name)s, %(is_won)s, %(is_closed)s, %(amount)s, %(currency)s,
    %(legal_entity_value)s, %(rate_card_name)s, %(contract_type)s, %(tax_treatment)s, %(delivery_region)s,
    %(starts_on)s, %(ends_on)s, %(modified_at)s)
on conflict (opportunity_id) do update
set account_id = excluded.account_id, name = excluded.name, is_won = excluded.is_won, is_closed = excluded.is_closed,
    amount = excluded.amount, currency = excluded.currency, legal_entity_value = excluded.legal_entity_value,
    rate_card_name = excluded.rate_card_name, contract_type = excluded.contract_type,
    tax_treatment = excluded.tax_treatment, delivery_region = excluded.delivery_region,
    starts_on = excluded.starts_on, ends_on = excluded.ends_on, modified_at = excluded.modified_at
where (opportunity.modified_at <= excluded.modified_at or opportunity.modified_at > clock_timestamp())
  and opportunity.* is distinct from excluded.*
