-- Put what caps let through under the n-th purchase order of its contract, whole, in the order of work date and entry. The
-- rest of an entry stays with the order it was billed under.
with nth as (
    select * from (select *, row_number() over (partition by contract_id order by valid_to, number, order_id) as place
                   from billing.purchase_order where number is not null) ranked
    where place = %(place)s
)
update billing_owed owed set order_id = passed.order_id
from (
    select entry_key, component, named.order_id, owed.take as asked,
           billing.take(owed.take, room.room, true)
               over (partition by named.order_id order by worked_on, entry_key collate "C", component desc
                     rows unbounded preceding) as take
    from billing_owed owed
    join billing_work work using (entry_key, component)
    join nth named on named.contract_id = work.contract_id
        and coalesce(named.contract_line = work.contract_line, named.contract_line is null)
    join billing_room room on room.cap_id = named.cap_id
    where owed.order_id is null and adjustment_id is null and (owed.take <> 0 or owed.whole_amount = 0)
      and case when stands_under is null then worked_on between valid_from and coalesce(valid_to, 'infinity')
               else stands_under = named.order_id end
) passed
where (passed.entry_key, passed.component) = (owed.entry_key, owed.component) and passed.take = asked
