-- Two persons with the duty decided on each batch, neither on own hours or rates; two on each credit and write-off.
-- grain: batch of the month's invoices, decision of the month; left: persons it takes, right: persons it had
-- unit:  persons
with decided as (
    select approval.*, said.may, said.resources,
           coalesce(approval.step = any (said.may), false) as had_duty
    from ops.approval
    left join ops.person_statement said on said.person = approval.person and said.told_at <= approval.decided_at
        and (said.until is null or said.until > approval.decided_at)
    where decision = 'approved'
),
batch as (
    select batch_id, count(distinct person) as persons, bool_and(had_duty) as had_duty,
           bool_or('rates' = any (may) or exists (
               select from billing.batch_content line
               left join core.time_entry hour on (hour.time_entry_id, hour.version) = (line.time_entry_id, line.version)
               left join core.expense_entry spent
                   on (spent.expense_entry_id, spent.version) = (line.expense_entry_id, line.version)
               where line.batch_id = invoiced.batch_id
                 and coalesce(hour.resource_id, spent.resource_id) = any (decided.resources))) as is_maker,
           jsonb_object_agg(step, person) filter (where step is not null) as detail
    from (select distinct batch_id from billing.live_invoice
          where legal_entity_id = %(entity)s and invoiced_on between %(start)s and %(end)s) invoiced
    left join decided using (batch_id)
    group by batch_id
)
select 'batch ' || batch_id as record_id, 'persons' as unit, 2 as left_value, persons as right_value,
       case when persons < 2 then 'was not decided by two persons'
            when not coalesce(had_duty, false) then 'was decided by somebody without the duty'
            when is_maker then 'was decided by somebody with own hours or rates in it' end as says, detail
from batch
union all
select kind || ' ' || adjustment_id, 'persons', 2, case when asked_by = approved_by then 1 else 2 end,
       case when asked_by = approved_by then 'was asked for and approved by one person' end,
       jsonb_build_object('asked', asked_by, 'approved', approved_by)
from billing.adjustment
where decided_on between %(start)s and %(end)s
  and exists (select from billing.passed_entry entry where entry.entry_key = adjustment.entry_key and legal_entity_id = %(entity)s)
