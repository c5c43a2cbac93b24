-- Let what is owed through the caps of one level, in the order of work date and entry.
update billing_owed owed set take = passed.take, cap_id = coalesce(owed.cap_id, passed.cap_id)
from (
    select entry_key, component, cap.cap_id,
           billing.take(owed.take, case cap.level when 'entry'
                                       then cap.limit_amount - (owed.whole_amount - owed.amount) - coalesce(beside.amount, 0)
                                   else room.room end, on_excess = 'hold')
               over (partition by cap.cap_id, case cap.level when 'entry' then entry_key end
                     order by worked_on, entry_key collate "C", component desc rows unbounded preceding) as take
    from billing_owed owed
    join billing_work work using (entry_key, component)
    join billing.cap on cap.currency = work.currency
        and scope_id = case %(level)s::text when 'customer' then customer_id when 'line' then contract_line
                                  when 'customer_on_line' then contract_line || '/' || customer_id else contract_id end
    join billing_room room on room.cap_id = cap.cap_id
    left join (select part.entry_key, part.component, sum(live.amount) as amount  -- what stands of an entry's other part
               from billing_part part join billing_live live using (entry_key)
               where live.component <> part.component and fate = 'stays'
               group by part.entry_key, part.component) beside using (entry_key, component)
    where cap.level = %(level)s and on_excess <> 'warn' and adjustment_id is null
      and (source = 'time' or source = 'expense' and counts = 'fees_and_expenses')
) passed
where (passed.entry_key, passed.component) = (owed.entry_key, owed.component) and passed.take <> owed.take
