-- What an id names among what is printed: invoices, lines, charges, entries; only what somebody may see.
with found as (
    select 'invoice' as kind, invoice_key as key, project_code from billing.invoice where invoice_key = %(id)s
    union
    select 'invoice', invoice_key, project_code
    from core.erp_invoice erp join billing.invoice on invoice_key = erp.reference
    where %(id)s in (erp.number, erp.erp_invoice_id)
    union
    select 'line', line_key, project_code
    from billing.invoice_line join billing.invoice using (invoice_key) where line_key = %(id)s
    union
    select 'charge', charge_id, project_code from billing.charge where charge_id = %(id)s
    union
    select 'entry', time_entry_id, project_code
    from core.time_entry_head join core.time_entry using (time_entry_id)
    where version = latest_version and time_entry_id = %(id)s
    union
    select 'entry', 'expense:' || expense_entry_id, project_code
    from core.expense_entry_head join core.expense_entry using (expense_entry_id)
    where version = latest_version and %(id)s in (expense_entry_id, 'expense:' || expense_entry_id)
    union
    select 'entry', item_id, project_code from billing.batch_line where item_id = %(id)s
)
select kind, key
from found
left join core.project using (project_code)
left join seen_engagement using (engagement_id)
where found.project_code is null or seen_engagement.engagement_id is not null
order by array_position(array['invoice', 'line', 'charge', 'entry'], kind), key
