-- The ledger: every line of the batch becomes a charge under its invoice line.
insert into billing.charge (
    charge_id, batch_id, line_key, kind, time_entry_id, version, project_code, worked_on, role, minutes, hourly_rate,
    amount, currency)
select charge_id, batch_id, line.line_key, kind, time_entry_id, version, project_code, worked_on, content.role,
       content.minutes, content.hourly_rate, content.amount, content.currency
from billing.batch_content content
join billing.invoice using (batch_id, project_code)
join billing.invoice_line line
    on (line.invoice_key, line.role, line.hourly_rate) = (invoice.invoice_key, content.role, content.hourly_rate)
where batch_id = %(batch)s
