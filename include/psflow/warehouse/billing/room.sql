-- What each cap still lets through: its limit less what stands, what open batches of other companies hold, and what was
-- used elsewhere. A charge that this run takes back has given its room back.
with standing as (
    select source, entry_key, project_code, contract_line, currency, amount from billing_live where fate in ('stays', 'waits')
    union all
    select work.source, entry_key, work.project_code, work.contract_line, work.currency, owed.amount
    from billing_owed owed join billing_work work using (entry_key)
    where owed.adjustment_id is not null
    union all
    select charge.source, entry_key, project_code, contract_line, charge.currency, charge.amount
    from billing.live_charge charge
    join core.project using (project_code)
    join core.contract using (engagement_id)
    where contract.legal_entity_id <> %(entity)s
    union all
    select content.source, entry_key, project_code, contract_line, content.currency, content.amount
    from billing.batch_content content
    join billing.batch using (batch_id)
    where batch.legal_entity_id <> %(entity)s and batch.state in ('frozen', 'checked', 'submitted', 'approved')
),
used as (  -- each row once a scope that it lies in: never once a cap
    select cap_id, sum(amount) as amount
    from standing
    join core.project using (project_code)
    join core.contract using (engagement_id)
    cross join lateral (values ('customer', customer_id), ('line', contract_line), ('contract', contract_id),
                               ('customer_on_line', contract_line || '/' || customer_id)) scope (level, scope_id)
    join billing.cap on (cap.level, cap.scope_id, cap.currency) = (scope.level, scope.scope_id, standing.currency)
    where source = 'time' or source = 'expense' and counts = 'fees_and_expenses'
    group by cap_id
)
insert into billing_room
select cap_id, invoiced_elsewhere + committed_elsewhere + coalesce(amount, 0),
       limit_amount - invoiced_elsewhere - committed_elsewhere - coalesce(amount, 0)
from billing.cap
left join used using (cap_id)
