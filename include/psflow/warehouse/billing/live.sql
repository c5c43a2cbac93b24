-- The charges of a legal entity that stand, without those of settled hours.
with unsettled as materialized (
    select charge_id from billing.charge
    where kind = 'charge'
      and not exists (select from billing_settled settled where settled.entry_key = charge.entry_key)
)
insert into billing_live
select charge.*, 'stays'
from unsettled
join billing.live_charge charge using (charge_id)
join core.project using (project_code)
join core.contract using (engagement_id)
where contract.legal_entity_id = %(entity)s
