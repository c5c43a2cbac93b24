-- What each cap of the batch's work lets through: used before it, used by it, what is left, what stayed over.
with charged as (  -- added up before a cap is looked at
    select true as is_batch, source, project_code, contract_line, order_id, currency, sum(amount) as amount
    from billing.batch_content where batch_id = %(batch)s and exists (select from billing.cap)
    group by source, project_code, contract_line, order_id, currency
    union all
    select false, source, project_code, contract_line, order_id, currency, sum(amount)
    from billing.live_charge where exists (select from billing.cap)
    group by source, project_code, contract_line, order_id, currency
),
used as (
    select cap_id, coalesce(sum(amount) filter (where is_batch), 0) as taken,
           coalesce(sum(amount) filter (where not is_batch), 0) as standing, bool_or(is_batch) as is_near
    from billing.cap
    join (select charged.*, customer_id, contract_id
          from charged join core.project using (project_code) join core.contract using (engagement_id)) charge
        on charge.currency = cap.currency
        and (counts = 'all' or source = 'time' or source = 'expense' and counts = 'fees_and_expenses')
        and scope_id = case level when 'customer' then customer_id when 'line' then contract_line when 'order' then order_id
                                  when 'customer_on_line' then contract_line || '/' || customer_id else contract_id end
    where level <> 'entry'
    group by cap_id
),
over as (
    select cap_id, sum(amount) as amount
    from billing.left_out
    where reason in ('over_cap', 'PURCHASE_ORDER_EXCEEDED')
      and legal_entity_id = (select legal_entity_id from billing.batch where batch_id = %(batch)s)
    group by cap_id
)
select cap_id,
       case level when 'customer_on_line' then 'customer on line' when 'order' then 'purchase order' else level end as level,
       scope_id, limit_amount, invoiced_elsewhere + committed_elsewhere + used.standing as used_before, used.taken as taken,
       limit_amount - invoiced_elsewhere - committed_elsewhere - used.standing - used.taken as still_free,
       coalesce(over.amount, 0) as over_amount, on_excess, currency::text
from billing.cap
left join used using (cap_id)
left join over using (cap_id)
where used.is_near or over.amount <> 0
order by cap_id
