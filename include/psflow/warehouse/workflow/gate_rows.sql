-- Each value that one verdict refused, with the row it is in and the exception that somebody works on.
select failing.*, coalesce(to_jsonb(hour), to_jsonb(spent), to_jsonb(line)) as record
from seen_failing failing
left join (select time_entry_id, load_id, project_code, resource_id, billed_role, worked_on, minutes, is_approved, is_billable
           from core.time_entry) hour
    on failing.suite = 'time_expense/time_entry' and (hour.load_id::text, hour.time_entry_id) = (failing.batch_id, failing.record_id)
left join (select expense_entry_id, load_id, project_code, resource_id, spent_on, category, amount, currency, has_receipt,
                  is_approved, is_billable
           from core.expense_entry) spent
    on failing.suite = 'time_expense/expense_entry'
    and (spent.load_id::text, spent.expense_entry_id) = (failing.batch_id, failing.record_id)
left join lateral (select entry_key, project_code, worked_on, role, minutes, hourly_rate, category, cost, cost_currency,
                          fx_rate, amount, currency
                   from billing.batch_line
                   where failing.suite like 'billing/%%' and batch_id = failing.batch_id
                     and failing.record_id in (charge_id, entry_key)
                   order by charge_id limit 1) line on true
where failing.gate_id = %(gate)s
  and (%(which)s::text is null or case %(which)s when 'new' then not is_known when 'known' then is_known else is_fixed end)
  and (%(rule)s::text is null or failing.rule = %(rule)s)
order by failing.record_id, failing.field, failing.rule
