-- The hours and expenses of a legal entity up to a day that passed their gate and are to be billed, by us or by a term, without
-- settled hours. Hours that have the same price on the same day ask the same.
with told as (  -- by what prices are told apart
    select bool_or(region is not null) as by_region, bool_or(specificity = 'person') as by_person,
           bool_or(level = 'contract') as by_contract, bool_or(level = 'contract_line') as by_line
    from core.agreed_rate
)
insert into billing_passed
select entry.*, place.region,
       case when source = 'time' and is_by_itself then row(
           rate_card_id, entry.role, currency, customer_id, case when by_region then place.region end,
           case when by_person then entry.resource_id end, case when by_contract then contract_id end,
           case when by_line then contract_line end)::text end
from billing.passed_entry entry
left join core.resource person using (resource_id)
cross join lateral (select coalesce(entry.region, person.region) as region) place
cross join told
where legal_entity_id = %(entity)s and is_to_bill and worked_on <= %(until)s
  and (is_by_itself or contract_type in ('retainer', 'cost_plus'))
  and not exists (select from billing_settled settled where settled.entry_key = entry.entry_key)
