-- One entry as it is now, and what stands between it and an invoice.
with head as (
    select time_entry_id as entry_key, 'time entry' as what, time_entry_id as record_id, 'time_entry' as entity, state as gate,
           latest_version as version, passed_version, project_code, resource_id, worked_on, minutes, billed_role as of_what,
           null::numeric as cost, null::text as cost_currency, is_approved, is_billable, is_gone
    from core.time_entry_head join core.time_entry using (time_entry_id)
    where version = latest_version and time_entry_id = %(entry)s
    union all
    select 'expense:' || expense_entry_id, 'expense', expense_entry_id, 'expense_entry', state, latest_version, passed_version,
           project_code, resource_id, spent_on, null, category, amount, currency::text, is_approved, is_billable, is_gone
    from core.expense_entry_head join core.expense_entry using (expense_entry_id)
    where version = latest_version and 'expense:' || expense_entry_id = %(entry)s
)
select head.*, person.name as resource, project.engagement_id, contract.contract_type, contract.legal_entity_id,
       entity.billing_starts_on,
       (select json_agg(json_build_object('reason', reason, 'amount', amount::text, 'currency', left_out.currency,
                                          'minutes', left_out.minutes, 'cap_id', cap_id) order by reason)
        from billing.left_out where left_out.entry_key = head.entry_key) as left_out,
       (select json_agg(message order by message) from ops.exceptions told
        where told.state <> 'resolved' and (told.entity, told.record_id) = (head.entity, head.record_id)) as told,
       (select json_build_object('batch_id', batch_id, 'state', batch.state,
                                 'is_held', exists (select from billing.batch_hold hold
                                                    where (hold.batch_id, hold.entry_key) = (batch.batch_id, head.entry_key)))
        from billing.batch join billing.batch_line line using (batch_id)
        where line.entry_key = head.entry_key and batch.state in ('frozen', 'checked', 'submitted', 'approved') limit 1) as batch
from head
left join core.resource person using (resource_id)
left join core.project using (project_code)
left join core.contract using (engagement_id)
left join core.legal_entity entity using (legal_entity_id)
