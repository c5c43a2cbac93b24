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
)
insert into billing_room
select cap_id, used, limit_amount - used
from billing.cap
cross join lateral (
    select invoiced_elsewhere + committed_elsewhere + coalesce(sum(amount), 0) as used
    from standing
    join core.project using (project_code)
    join core.contract using (engagement_id)
    where standing.currency = cap.currency
      and (source = 'time' or source = 'expense' and counts = 'fees_and_expenses')
      and scope_id = case level when 'customer' then customer_id when 'line' then contract_line
                                when 'customer_on_line' then contract_line || '/' || customer_id
                                when 'contract' then contract_id end
) standing
