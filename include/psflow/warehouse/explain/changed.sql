-- What was different about an entry when a charge of it was taken back.
with taken_back as (
    select charge.charge_id, charge.time_entry_id, charge.expense_entry_id, charge.version, batch.frozen_at
    from billing.charge join billing.batch using (batch_id)
    where charge_id = any(%(charges)s) and kind = 'reversal'
),
said as (
    select charge_id, entry.version, taken_back.version as charged, frozen_at, loaded_at,
           jsonb_build_object('hours', trim_scale(round(minutes / 60.0, 4))::text, 'day', worked_on, 'project', project_code,
                              'role', billed_role, 'person', resource_id, 'approved', is_approved, 'billable', is_billable,
                              'deleted in the PSA', is_gone) as facts
    from taken_back join core.time_entry entry using (time_entry_id) join core.time_load using (load_id)
    union all
    select charge_id, entry.version, taken_back.version, frozen_at, loaded_at,
           jsonb_build_object('cost', amount::text || ' ' || currency, 'day', spent_on, 'project', project_code,
                              'category', category, 'approved', is_approved, 'billable', is_billable,
                              'deleted in the PSA', is_gone)
    from taken_back join core.expense_entry entry using (expense_entry_id) join core.time_load using (load_id)
)
select was.charge_id, was.facts as was, now.facts as now
from said was
join lateral (
    select * from said where said.charge_id = was.charge_id and said.version > was.version and loaded_at <= frozen_at
    order by said.version desc limit 1
) now on true
where was.version = was.charged
