-- Every charge and reversal of a batch, entry by entry.
select concat_ws('.', batch_id, project_code, payer_id) as invoice_key, charge_id, kind,
       case source when 'time' then 'time entry' when 'expense' then 'expense' else 'contract item' end as what,
       coalesce(time_entry_id, expense_entry_id, item_id) as id, version::int, project_code, worked_on,
       coalesce(role || case when component = 'overtime' then ', overtime' else '' end, category) as of_what,
       trim_scale(round(minutes / 60.0, 4)) as hours,
       trim_scale(round(coalesce(billed_minutes, minutes) / 60.0, 4)) as billed_hours, hourly_rate,
       trim_scale(round(coalesce(billed_minutes, minutes) / (60 * hours_per_day), 4)) as billed_days, day_rate, rate_id, cost,
       cost_currency::text, fx_rate, amount, currency::text
from billing.batch_content
where batch_id = %(batch)s
order by project_code, worked_on, entry_key collate "C", charge_id collate "C"
