-- What was worked in the month and arrived after its cut-off: how much, and where it counts.
-- grain: time entry, expense that landed after the version signed before, else after the month's last day; both sides its quantity
-- unit:  h, the currency that was spent
with late as (
    select 'time' as kind, time_entry_id as record_id, project_code, minutes / 60.0 as quantity, 'h' as unit, loaded_at
    from core.time_entry join core.time_load using (load_id)
    where version = 1 and worked_on between %(start)s and %(end)s
    union all
    select 'expense', expense_entry_id, project_code, amount, coalesce(currency, '?'), loaded_at
    from core.expense_entry join core.time_load using (load_id)
    where version = 1 and spent_on between %(start)s and %(end)s
)
select kind || ' ' || record_id as record_id, unit, round(quantity, 4) as left_value, round(quantity, 4) as right_value,
       null as says,
       jsonb_build_object('arrived', to_char(loaded_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'), 'counts in', coalesce((
           select string_agg(distinct to_char(coalesce(accounting_on, worked_on), 'YYYY-MM'), ', ')
           from billing.counted_charge charge
           where charge.entry_key = case kind when 'time' then '' else 'expense:' end || record_id), 'not billed')) as detail
from late
join core.project using (project_code) join core.contract using (engagement_id)
where legal_entity_id = %(entity)s and loaded_at > %(since)s and loaded_at <= %(as_of)s
