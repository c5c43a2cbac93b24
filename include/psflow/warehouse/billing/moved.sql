-- Lines that would not be frozen like this any more.
select line.charge_id
from billing.batch_content line
left join billing_difference now using (charge_id)
where line.batch_id = %(batch)s
  and (now.kind, now.entry_key, now.project_code, now.worked_on, now.role, now.minutes, now.hourly_rate, now.category,
       now.cost, now.cost_currency, now.fx_rate, now.amount, now.currency, now.billed_minutes, now.rate_id, now.billable_cost,
       now.markup_pct, now.terms_version, now.adjustment_id, now.order_id, now.day_rate, now.hours_per_day, now.overtime_id,
       now.payer_id, now.split_id, now.tax_id)
      is distinct from
      (line.kind, line.entry_key, line.project_code, line.worked_on, line.role, line.minutes, line.hourly_rate,
       line.category, line.cost, line.cost_currency, line.fx_rate, line.amount, line.currency, line.billed_minutes, line.rate_id,
       line.billable_cost, line.markup_pct, line.terms_version, line.adjustment_id, line.order_id, line.day_rate, line.hours_per_day,
       line.overtime_id, line.payer_id, line.split_id, line.tax_id)
order by line.charge_id
