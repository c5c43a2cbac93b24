-- The ledger: every line of the batch becomes a charge under its invoice line, which is numbered as `invoice_lines` does.
-- What an hour cost is not decided on and bills nothing, so it is read here; a reversal has the cost of what it takes back.
insert into billing.charge (
    charge_id, batch_id, line_key, kind, time_entry_id, expense_entry_id, version, project_code, worked_on, role, minutes,
    hourly_rate, category, cost, cost_currency, fx_rate, amount, currency, item_id, component, seq, resource_id,
    contract_line, entry_minutes, billed_minutes, whole_minutes, whole_amount, billable_cost, markup_pct, rate_id,
    terms_version, adjustment_id, order_id, accounting_on, day_rate, hours_per_day, overtime_id, payer_id, split_id, tax_id,
    labour_cost, labour_cost_currency, cost_rate_id, cost_missing)
select charge_id, batch_id,
       billing.invoice_key(batch_id, project_code, payer_id)
           || '.' || dense_rank() over (partition by project_code, payer_id order by role, hourly_rate, category, day_rate, hours_per_day,
                                                                     component = 'overtime', order_id, tax_id),
       kind, time_entry_id, expense_entry_id, version, project_code, worked_on, role, minutes, hourly_rate, category, cost,
       cost_currency, fx_rate, content.amount, currency, item_id, component, seq, resource_id, contract_line, entry_minutes,
       billed_minutes, whole_minutes, whole_amount, billable_cost, markup_pct, rate_id, terms_version, adjustment_id, order_id,
       accounting_on, day_rate, hours_per_day, overtime_id, payer_id, split_id, tax_id,
       spent.amount, spent.spent_in, spent.row_id,
       case when source = 'time' and spent.amount is null then coalesce(spent.missing, 'no cost rate of the day') end
from billing.batch_content content
left join lateral (
    select round(content.minutes * hourly_cost / 60, 6) as amount, cost.currency as spent_in,
           cost.resource_id || '|' || valid_from as row_id, null as missing
    from core.cost_rate cost
    where (content.source, content.kind) = ('time', 'charge') and cost.resource_id = content.resource_id
      and content.worked_on >= valid_from and (valid_to is null or content.worked_on <= valid_to)
    union all
    select -labour_cost, labour_cost_currency, cost_rate_id, cost_missing from billing.charge taken_back
    where content.kind = 'reversal' and taken_back.charge_id = regexp_replace(content.charge_id, '\.R(~\d+)?$', '')
) spent on true
where batch_id = %(batch)s
