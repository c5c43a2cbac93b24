-- The charges of a legal entity that stand, without those of settled hours.
insert into billing_live
select charge.*, 'stays'
from billing.live_charge charge
join core.project using (project_code)
join core.contract using (engagement_id)
where contract.legal_entity_id = %(entity)s
  and not exists (select from billing_settled settled where settled.entry_key = charge.entry_key)
