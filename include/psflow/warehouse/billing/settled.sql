-- Hours that a run need not look at again: all of their price is invoiced, of the version that counts, and a version never
-- changes; so nothing is owed and nothing taken back. Not where an hour's price hangs on other hours, or something was decided
-- about it.
with plain as materialized (
    select project_code
    from core.project
    join core.contract using (engagement_id)
    where legal_entity_id = %(entity)s and contract_type = 'time_and_materials'
      and not exists (select from core.overtime where overtime.contract_id = contract.contract_id)
      and not exists (select from billing.purchase_order where purchase_order.contract_id = contract.contract_id)
      and not exists (select from core.increment where increment.customer_id = project.customer_id)
),
live as materialized (
    select live.entry_key, live.project_code, live.contract_line, live.currency, live.amount,
           coalesce(live.whole_amount, live.amount) as whole_amount,
           live.version = head.passed_version and plain.project_code is not null
               and live.worked_on between greatest(%(starts_on)s::date, %(since)s::date, '-infinity') and %(until)s
               and live.component = 'work' and num_nonnulls(live.overtime_id, live.order_id) = 0
               and not exists (select from billing.adjustment where adjustment.entry_key = live.entry_key) as is_as_it_was
    from billing.live_charge live
    join core.time_entry_head head on head.time_entry_id = live.time_entry_id
    left join plain using (project_code)
),
part as materialized (  -- of few, and only they are added up
    select entry_key from live where not is_as_it_was or amount <> whole_amount
)
insert into billing_settled
select entry_key, project_code, contract_line, currency, amount
from live
where not exists (select from part where part.entry_key = live.entry_key)
union all
select entry_key, min(project_code), min(contract_line), min(currency), sum(amount)
from live
where exists (select from part where part.entry_key = live.entry_key)
group by entry_key
having bool_and(is_as_it_was) and sum(amount) = min(whole_amount) and min(whole_amount) = max(whole_amount)
   and min(currency) = max(currency)
