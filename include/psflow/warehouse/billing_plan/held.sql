-- What is not in the batch, and why: held by a gate, over a cap, without a price, waiting as a credit, written off.
with head as (
    select *, ((period || '-01')::date + interval '1 month')::date as ends_before from billing.batch where batch_id = %(batch)s
),
told as (
    select record_id, entity, rule, string_agg(message, '; ' order by message) as says
    from ops.exceptions where state <> 'resolved' and rule in ('billing', 'rate', 'tax', 'time_entry', 'expense_entry')
    group by record_id, entity, rule
),
unloaded as (  -- never passed the gate of its load
    select 'time entry' as what, time_entry_id as id, 'time_entry' as entity, project_code, worked_on, minutes
    from core.time_entry_head join core.time_entry using (time_entry_id)
    where version = latest_version and state = 'held' and passed_version is null
    union all
    select 'expense', expense_entry_id, 'expense_entry', project_code, spent_on, null
    from core.expense_entry_head join core.expense_entry using (expense_entry_id)
    where version = latest_version and state = 'held' and passed_version is null
)
select case line.source when 'time' then 'time entry' when 'expense' then 'expense' else 'contract item' end as what,
       coalesce(line.time_entry_id, line.expense_entry_id, line.item_id) as id, line.project_code, line.worked_on,
       case when taxless.says is null then 'held by the gate of the batch' else 'its invoice lacks a tax' end as reason,
       coalesce(taxless.says, told.says) as says, trim_scale(round(sum(line.minutes) / 60.0, 4)) as hours,
       sum(line.amount) as amount, line.currency::text
from billing.batch_line line
join billing.batch_hold using (batch_id, entry_key)
left join told on told.rule = 'billing' and told.record_id = coalesce(line.time_entry_id, line.expense_entry_id, line.item_id)
left join told taxless on (taxless.rule, taxless.record_id) = ('tax', line.project_code)
where batch_id = %(batch)s
group by line.source, line.time_entry_id, line.expense_entry_id, line.item_id, line.project_code, line.worked_on, told.says,
         taxless.says, line.currency
union all
select case source when 'time' then 'time entry' when 'expense' then 'expense' else 'contract item' end,
       regexp_replace(left_out.entry_key, '^expense:', ''), project_code, worked_on,
       case reason when 'over_cap' then 'over the cap ' || cap_id when 'written_off' then 'written off'
                   when 'credited' then 'credited' when 'CREDIT_WAITS' then 'a credit waits' when 'RATE_MISSING' then 'no rate' when 'RATE_AMBIGUOUS' then 'two rates'
                   when 'FX_MISSING' then 'no exchange rate'
                   when 'PURCHASE_ORDER_EXCEEDED' then 'over purchase order ' || purchase_order.number
                   else lower(replace(reason, '_', ' ')) end,
       told.says, trim_scale(round(minutes / 60.0, 4)), amount, left_out.currency::text
from billing.left_out
join head using (legal_entity_id)
left join billing.purchase_order using (cap_id)
left join told on told.rule = 'rate' and told.record_id = regexp_replace(left_out.entry_key, '^expense:', '')
union all
select what, id, project_code, worked_on, 'held by the gate of its load', told.says, trim_scale(round(minutes / 60.0, 4)), null, contract.currency::text
from unloaded
join core.project using (project_code)
join core.contract using (engagement_id)
join head on head.legal_entity_id = contract.legal_entity_id and worked_on < ends_before
left join told on (told.rule, told.entity, told.record_id) = (unloaded.entity, unloaded.entity, id)
union all
select 'project', project_code, project_code, null, 'a credit waits', told.says, null, null, contract.currency::text
from told
join core.project on told.entity = 'project' and told.rule = 'billing' and project_code = told.record_id
join core.contract using (engagement_id)
join head using (legal_entity_id)
order by reason, project_code, worked_on, id
