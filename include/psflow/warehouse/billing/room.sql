-- What each cap still lets through: its limit less what stands, what open batches of other companies hold, and what was
-- used elsewhere. A charge that this run takes back has given its room back.
with standing as (
    select source, entry_key, project_code, contract_line, currency, amount, order_id
    from billing_live where fate in ('stays', 'waits')
    union all
    select 'time', entry_key, project_code, contract_line, currency, amount, null
    from billing_settled
    union all
    select work.source, entry_key, work.project_code, work.contract_line, work.currency, owed.amount, owed.order_id
    from billing_owed owed join billing_work work using (entry_key, component)
    where owed.adjustment_id is not null
    union all
    select charge.source, entry_key, project_code, contract_line, charge.currency, charge.amount, order_id
    from billing.live_charge charge
    join core.project using (project_code)
    join core.contract using (engagement_id)
    where contract.legal_entity_id <> %(entity)s
    union all
    select content.source, entry_key, project_code, contract_line, content.currency, content.amount, order_id
    from billing.batch_content content
    join billing.batch using (batch_id)
    where batch.legal_entity_id <> %(entity)s and batch.state in ('frozen', 'checked', 'submitted', 'approved')
),
summed as materialized (  -- or each charge would be asked about each cap
    select source, project_code, contract_line, order_id, currency, sum(amount) as amount
    from standing group by source, project_code, contract_line, order_id, currency
),
placed as materialized (  -- each sum once a scope that it lies in: never once a cap
    select level, scope_id, source, summed.currency, sum(amount) as amount
    from summed
    join core.project using (project_code)
    join core.contract using (engagement_id)
    cross join lateral (values ('customer', customer_id), ('line', contract_line), ('contract', contract_id),
                               ('customer_on_line', contract_line || '/' || customer_id), ('order', order_id)) scope (level, scope_id)
    where scope_id is not null
    group by level, scope_id, source, summed.currency
),
used as (
    select cap_id, sum(amount) as amount
    from placed
    join billing.cap using (level, scope_id, currency)
    where counts = 'all' or source = 'time' or source = 'expense' and counts = 'fees_and_expenses'
    group by cap_id
)
insert into billing_room
select cap_id, invoiced_elsewhere + committed_elsewhere + coalesce(amount, 0),
       limit_amount - invoiced_elsewhere - committed_elsewhere - coalesce(amount, 0)
from billing.cap
left join used using (cap_id)
