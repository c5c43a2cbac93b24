-- A new batch with every priced line of the difference; no row when there is none.
with batch as (
    insert into billing.batch (batch_id, legal_entity_id, period, number, invoiced_on)
    select concat_ws('.', %(entity)s::text, %(period)s::text, number), %(entity)s, %(period)s, number, %(on)s::date
    from (select coalesce(max(number), 0) + 1 as number from billing.batch
          where legal_entity_id = %(entity)s and period = %(period)s) next
    where exists (select from billing_difference where kind <> 'unrated')
    returning batch_id
),
frozen as (
    insert into billing.batch_line (
        batch_id, charge_id, kind, time_entry_id, expense_entry_id, version, project_code, worked_on, role, minutes,
        hourly_rate, category, cost, cost_currency, fx_rate, amount, currency, item_id, component, seq, resource_id,
        contract_line, entry_minutes, billed_minutes, whole_minutes, whole_amount, billable_cost, markup_pct, rate_id,
        terms_version, adjustment_id, order_id, accounting_on, day_rate, hours_per_day, overtime_id, payer_id, split_id,
        tax_id)
    select batch_id, charge_id, kind, time_entry_id, expense_entry_id, version, project_code, worked_on, role, minutes,
           hourly_rate, category, cost, cost_currency, fx_rate, amount, currency, item_id, component, seq, resource_id,
           contract_line, entry_minutes, billed_minutes, whole_minutes, whole_amount, billable_cost, markup_pct, rate_id,
           terms_version, adjustment_id, order_id, accounting_on, day_rate, hours_per_day, overtime_id, payer_id, split_id,
        tax_id
    from billing_difference cross join batch
    where kind <> 'unrated'
)
select batch_id from batch
