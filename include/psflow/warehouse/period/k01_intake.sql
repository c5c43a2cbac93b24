-- Every hour and expense the PSA has of the month has landed, with the same quantity, and nothing else has.
-- grain: time entry, expense on a project of the legal entity; left: the PSA when it was read, right: core
-- unit:  h, the currency that was spent
with newest as (
    select * from ops.source_read where period = %(period)s and read_at <= %(as_of)s order by read_id desc limit 1
),
ours as (
    select project_code from core.project join core.contract using (engagement_id) where legal_entity_id = %(entity)s
),
source as (
    select told.kind, record_id, case told.kind when 'time' then quantity / 60 else quantity end as quantity, unit
    from ops.source_row told
    join newest using (read_id)
    join ops.crosswalk known on (known.kind, known.system, known.instance, known.external_id)
        = ('project', newest.system, newest.instance, told.project_ref)
    join ours on ours.project_code = known.entity_id
),
newest_hour as (
    select distinct on (time_entry_id) entry.*
    from core.time_entry entry join core.time_load using (load_id)
    where loaded_at <= %(as_of)s order by time_entry_id, version desc
),
newest_expense as (
    select distinct on (expense_entry_id) entry.*
    from core.expense_entry entry join core.time_load using (load_id)
    where loaded_at <= %(as_of)s order by expense_entry_id, version desc
),
landed as (
    select 'time' as kind, time_entry_id as record_id, minutes / 60.0 as quantity, 'h' as unit
    from newest_hour join ours using (project_code)
    where worked_on between %(start)s and %(end)s and not is_gone
    union all
    select 'expense', expense_entry_id, amount, coalesce(currency, '?')
    from newest_expense join ours using (project_code)
    where spent_on between %(start)s and %(end)s and not is_gone
)
select kind || ' ' || record_id as record_id, unit, round(source.quantity, 4) as left_value,
       round(landed.quantity, 4) as right_value,
       case when landed.record_id is null then 'is in the PSA and did not land'
            when source.record_id is null then 'landed, and the PSA has it no more'
            when round(source.quantity, 4) is distinct from round(landed.quantity, 4) then 'is another quantity in the PSA'
            end as says, null::jsonb as detail
from source full join landed using (kind, record_id, unit)
where exists (select from newest)
union all
select 'PSA', 'records', null, null, 'the month was not read at its source yet: run the DAG close', null
where not exists (select from newest)
