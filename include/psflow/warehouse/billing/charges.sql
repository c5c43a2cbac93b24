-- The ledger: every line of the batch becomes a charge under its invoice line.
insert into billing.charge (
    charge_id, batch_id, line_key, kind, time_entry_id, expense_entry_id, version, project_code, worked_on, role, minutes,
    hourly_rate, category, cost, cost_currency, fx_rate, amount, currency, item_id, component, seq, resource_id,
    contract_line, entry_minutes, billed_minutes, whole_minutes, whole_amount, billable_cost, markup_pct, rate_id,
    terms_version, adjustment_id, accounting_on)
select charge_id, batch_id, line.line_key, kind, time_entry_id, expense_entry_id, version, project_code, worked_on,
       content.role, content.minutes, content.hourly_rate, content.category, cost, cost_currency, fx_rate, content.amount,
       content.currency, item_id, component, seq, resource_id, contract_line, entry_minutes, content.billed_minutes,
       whole_minutes, whole_amount, billable_cost, markup_pct, rate_id, terms_version, adjustment_id, accounting_on
from billing.batch_content content
join billing.invoice using (batch_id, project_code)
join billing.invoice_line line
    on line.invoice_key = invoice.invoice_key
    and (line.role, line.hourly_rate, line.category)
        is not distinct from (content.role, content.hourly_rate, content.category)
where batch_id = %(batch)s
