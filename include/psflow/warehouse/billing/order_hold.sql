-- Hold what no purchase order takes: those of its day have too little left, none is of its day, or there is none.
update billing_owed owed set take = 0, held = owed.take, held_for = judged.reason, held_cap_id = judged.cap_id
from (
    select owed.entry_key, owed.component,
           case when bool_or(is_open) then 'PURCHASE_ORDER_EXCEEDED' when not bool_or(is_required) then null
                when count(number) = 0 then 'PURCHASE_ORDER_MISSING' else 'PURCHASE_ORDER_NOT_VALID' end as reason,
           (array_agg(named.cap_id order by valid_to desc, number desc) filter (where is_open))[1] as cap_id
    from billing_owed owed
    join billing_work work using (entry_key, component)
    join billing.purchase_order named on named.contract_id = work.contract_id
        and coalesce(named.contract_line = work.contract_line, named.contract_line is null)
    cross join lateral (
        select coalesce(case when stands_under is null then worked_on between valid_from and coalesce(valid_to, 'infinity')
                             else stands_under = named.order_id end, false) as is_open) day
    where owed.order_id is null and adjustment_id is null and (owed.take <> 0 or owed.whole_amount = 0)
    group by owed.entry_key, owed.component
) judged
where (judged.entry_key, judged.component) = (owed.entry_key, owed.component) and reason is not null
