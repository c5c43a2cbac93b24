-- Approved hours are invoiced, paid by a contract's fee, unbilled, held, over a cap or written off: the gap is 0 h on every project.
-- grain: project; left: approved hours worked in the month, right: those invoiced by now; the rest is in the detail
-- unit:  h
with newest as (
    select distinct on (time_entry_id) entry.*
    from core.time_entry entry join core.time_load using (load_id)
    where loaded_at <= %(as_of)s order by time_entry_id, version desc
),
due as (
    select newest.*, contract_type <> 'time_and_materials' as is_in_fee
    from newest
    join core.project using (project_code) join core.contract using (engagement_id)
    where legal_entity_id = %(entity)s and is_approved and is_billable and not is_gone and minutes <> 0
      and worked_on between greatest(%(start)s::date, %(starts_on)s::date) and %(end)s
),
invoiced as (
    select time_entry_id, charge.project_code, sum(minutes) as minutes
    from billing.charge
    join billing.batch using (batch_id)
    join billing.invoice using (batch_id, project_code)
    left join billing.void_invoice void on void.invoice_key = invoice.invoice_key and voided_at <= %(as_of)s
    where invoice.payer_id is not distinct from charge.payer_id
      and batch.legal_entity_id = %(entity)s and source = 'time' and void.invoice_key is null and frozen_at <= %(as_of)s
      and worked_on between %(start)s and %(end)s
    group by time_entry_id, charge.project_code
),
left_out as (
    select entry_key as time_entry_id, coalesce(sum(minutes) filter (where reason = 'over_cap'), 0) as over_cap,
           coalesce(sum(minutes) filter (where reason = 'written_off'), 0) as written_off,
           coalesce(sum(minutes) filter (where reason = 'credited'), 0) as credited
    from billing.left_out where source = 'time' group by entry_key
),
told as (
    select entity, record_id from ops.exceptions
    where state <> 'resolved' and rule in ('rate', 'tax', 'billing', 'time_entry', 'record')
    union all
    select 'time_entry', entry_key from billing.left_out where source = 'time' and starts_with(reason, 'PURCHASE_ORDER')
),
looked as (  -- the newest batch that reaches the month; an entry that came later is simply not billed yet
    select max(frozen_at) as at from billing.batch
    where legal_entity_id = %(entity)s and period >= %(period)s and frozen_at <= %(as_of)s and state not in ('rejected', 'failed', 'stale')
),
entry as (
    select coalesce(due.project_code, invoiced.project_code) as project_code,
           coalesce(due.minutes, 0) as approved, coalesce(invoiced.minutes, 0) as invoiced,
           coalesce(over_cap, 0) as over_cap, coalesce(written_off, 0) as written_off,
           case when is_in_fee then due.minutes else 0 end as in_fee,
           case when is_in_fee then 0 else coalesce(due.minutes, 0) end
               - coalesce(invoiced.minutes, 0) - coalesce(over_cap, 0) - coalesce(written_off, 0) as rest,
           coalesce(credited, 0) <> 0 as is_open_again,
           head.state <> 'passed'
               or exists (select from told where (entity, record_id) = ('time_entry', time_entry_id))
               or exists (select from told
                          where (entity, record_id) = ('project', coalesce(due.project_code, invoiced.project_code))) as is_held,
           coalesce(loaded_at > looked.at, true)
               or exists (select from billing.batch_content line join billing.batch using (batch_id)
                          where line.time_entry_id = due.time_entry_id
                            and state in ('frozen', 'checked', 'submitted', 'approved')) as is_new
    from due
    full join invoiced using (time_entry_id, project_code)
    left join left_out using (time_entry_id)
    left join core.time_entry_head head using (time_entry_id)
    left join core.time_load load on load.load_id = due.load_id
    cross join looked
),
summed as (
    select project_code, sum(approved) / 60.0 as approved, sum(invoiced) / 60.0 as invoiced,
           sum(in_fee) / 60.0 as in_fee, sum(over_cap) / 60.0 as over_cap, sum(written_off) / 60.0 as written_off,
           coalesce(sum(rest) filter (where is_held), 0) / 60.0 as held,
           coalesce(sum(rest) filter (where not is_held and (is_new or is_open_again)), 0) / 60.0 as unbilled,
           coalesce(sum(abs(rest)) filter (where not is_held and not is_new and not is_open_again), 0) / 60.0 as gap
    from entry group by project_code
)
select 'project ' || project_code as record_id, 'h' as unit, round(approved, 4) as left_value, round(invoiced, 4) as right_value,
       case when gap <> 0 then round(gap, 4) || ' h are in no state: approved, not invoiced, and nobody says why' end as says,
       jsonb_build_object('invoiced', ops.sum_text(round(invoiced, 4), 'h'), 'unbilled', ops.sum_text(round(unbilled, 4), 'h'),
                          'in fee', ops.sum_text(round(in_fee, 4), 'h'), 'held', ops.sum_text(round(held, 4), 'h'),
                          'over cap', ops.sum_text(round(over_cap, 4), 'h'),
                          'written off', ops.sum_text(round(written_off, 4), 'h'), 'gap', ops.sum_text(round(gap, 4), 'h')) as detail
from summed
