-- Caps that a charge counted to, as its batch's plan has them.
select charge_id, cap.*
from billing.charge
join core.project using (project_code)
join core.contract using (engagement_id)
join billing.plan on plan.batch_id = charge.batch_id
cross join json_to_recordset(plan -> 'caps') as said (cap_id text, used_before numeric, taken numeric, over_amount numeric)
join lateral (
    select said.cap_id, said.used_before, said.taken, said.over_amount, cap.level, cap.limit_amount, cap.currency::text,
           (select number from billing.purchase_order named where named.cap_id = cap.cap_id) as number
    from billing.cap
    where cap.cap_id = said.cap_id and cap.currency = charge.currency
      and (counts = 'all' or source = 'time' or source = 'expense' and counts = 'fees_and_expenses')
      and scope_id = case cap.level when 'customer' then customer_id when 'line' then contract_line when 'order' then order_id
                                    when 'customer_on_line' then contract_line || '/' || customer_id else contract_id end
) cap on true
where charge_id = any(%(charges)s)
order by charge_id, cap.cap_id
