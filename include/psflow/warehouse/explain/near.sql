-- Ids that somebody may see and that may have been meant: invoices and their numbers, and what begins alike.
with found as (
    (select invoice_key as id, project_code from billing.invoice order by invoiced_on desc limit 5000)
    union
    (select erp.number, project_code from core.erp_invoice erp join billing.invoice on invoice_key = erp.reference
     where erp.number is not null order by erp.number desc limit 5000)
    union
    (select line_key, project_code from billing.invoice_line join billing.invoice using (invoice_key)
     where starts_with(line_key, %(begins)s) limit 500)
    union
    (select charge_id, project_code from billing.charge where starts_with(charge_id, %(begins)s) limit 500)
    union
    (select time_entry_id, project_code from core.time_entry
     where starts_with(time_entry_id, %(begins)s) or starts_with(%(id)s, time_entry_id) limit 500)
    union
    (select expense_entry_id, project_code from core.expense_entry 
     where starts_with(expense_entry_id, %(begins)s) or starts_with(%(id)s, expense_entry_id) limit 500)
)
select id from found join core.project using (project_code) join seen_engagement using (engagement_id)
