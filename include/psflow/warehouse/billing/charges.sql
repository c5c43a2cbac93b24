-- The ledger: every line of the batch becomes a charge under its invoice line, which is numbered as `invoice_lines` does.
insert into billing.charge (
    charge_id, batch_id, line_key, kind, time_entry_id, expense_entry_id, version, project_code, worked_on, role, minutes,
    hourly_rate, category, cost, cost_currency, fx_rate, amount, currency, item_id, component, seq, resource_id,
    contract_line, entry_minutes, billed_minutes, whole_minutes, whole_amount, billable_cost, markup_pct, rate_id,
    terms_version, adjustment_id, order_id, accounting_on, day_rate, hours_per_day, overtime_id, payer_id, split_id, tax_id)
select charge_id, batch_id,
       billing.invoice_key(batch_id, project_code, payer_id)
           || '.' || dense_rank() over (partition by project_code, payer_id order by role, hourly_rate, category, day_rate, hours_per_day,
                                                                     component = 'overtime', order_id, tax_id),
       kind, time_entry_id, expense_entry_id, version, project_code, worked_on, role, minutes, hourly_rate, category, cost,
       cost_currency, fx_rate, amount, currency, item_id, component, seq, resource_id, contract_line, entry_minutes,
       billed_minutes, whole_minutes, whole_amount, billable_cost, markup_pct, rate_id, terms_version, adjustment_id, order_id,
       accounting_on, day_rate, hours_per_day, overtime_id, payer_id, split_id, tax_id
from billing.batch_content content
where batch_id = %(batch)s
