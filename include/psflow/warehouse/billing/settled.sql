-- Hours that a run need not look at again: all of their price is invoiced, and what it hangs on is as it was then, so nothing
-- is owed and nothing taken back. Not where an hour's price hangs on other hours, or something was decided about it.
-- What is compared is what `fate` compares.
insert into billing_settled
select entry.entry_key, min(live.project_code), min(live.contract_line), min(live.currency), sum(live.amount)
from billing_passed entry
join billing.live_charge live using (entry_key)
where entry.source = 'time' and is_by_itself
  and entry.worked_on >= greatest(%(starts_on)s::date, %(since)s::date, '-infinity')
  and not exists (select from billing.adjustment where adjustment.entry_key = entry.entry_key)
  and not exists (select from core.overtime where overtime.contract_id = entry.contract_id)
  and not exists (select from billing.purchase_order where purchase_order.contract_id = entry.contract_id)
  and not exists (select from core.increment where increment.customer_id = entry.customer_id)
group by entry.entry_key
having sum(live.amount) = min(coalesce(live.whole_amount, live.amount))
   and min(coalesce(live.whole_amount, live.amount)) = max(coalesce(live.whole_amount, live.amount))
   and min(live.currency) = max(live.currency)
   and bool_and(live.component = 'work' and num_nonnulls(live.overtime_id, live.order_id) = 0
                and (live.project_code, live.worked_on, live.role, coalesce(live.entry_minutes, live.minutes),
                     coalesce(live.resource_id, entry.resource_id),
                     case when live.entry_minutes is null then entry.contract_line else live.contract_line end)
                    is not distinct from
                    (entry.project_code, entry.worked_on, entry.role, entry.minutes, entry.resource_id, entry.contract_line))
