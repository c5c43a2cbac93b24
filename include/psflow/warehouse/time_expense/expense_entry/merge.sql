-- Keep a new version of every staged expense that says something new, resolved to our project and person.
-- reads: entry_staging, core.expense_entry, core.expense_entry_head, ops.crosswalk
with kept as (
    insert into raw.record (system, instance, kind, record_id, payload_hash, payload)
    select %(system)s, %(instance)s, 'expense_entry', expense_entry_id,
           encode(sha256(convert_to(payload, 'UTF8')), 'hex'), payload
    from entry_staging
    on conflict do nothing
),
staged as (
    select distinct on (expense_entry_id)
           expense_entry_id, project_ref, resource_ref, spent_on, category, amount, currency, is_billable, is_approved,
           has_receipt, notes, modified_at
    from entry_staging
    order by expense_entry_id, modified_at desc
),
held as (  -- what their gate held: project or person may be known by now
    select entry.expense_entry_id, entry.project_ref, entry.resource_ref, entry.spent_on, entry.category, entry.amount,
           entry.currency, entry.is_billable, entry.is_approved, entry.has_receipt, entry.notes, entry.modified_at
    from core.expense_entry_head head
    join core.expense_entry entry on (entry.expense_entry_id, entry.version) = (head.expense_entry_id, head.latest_version)
    where head.state = 'held' and not entry.is_gone
      and not exists (select from staged where staged.expense_entry_id = head.expense_entry_id)
),
resolved as (
    select candidate.*, project.entity_id as project_code, person.entity_id as resource_id
    from (select * from staged union all select * from held) candidate
    left join ops.crosswalk project on project.kind = 'project' and project.system = %(system)s
        and project.instance = %(instance)s and project.external_id = candidate.project_ref
    left join ops.crosswalk person on person.kind = 'resource' and person.system = %(system)s
        and person.instance = %(instance)s and person.external_id = candidate.resource_ref
),
changed as (
    select resolved.*, coalesce(head.latest_version, 0) + 1 as version
    from resolved
    left join core.expense_entry_head head using (expense_entry_id)
    left join core.expense_entry known
        on (known.expense_entry_id, known.version) = (head.expense_entry_id, head.latest_version)
    where head.expense_entry_id is null
       or (resolved.modified_at >= known.modified_at
           and ((resolved.project_ref, resolved.resource_ref, resolved.spent_on, resolved.category, resolved.amount,
                 resolved.currency, resolved.is_billable, resolved.is_approved, resolved.has_receipt, resolved.notes)
                is distinct from
                (known.project_ref, known.resource_ref, known.spent_on, known.category, known.amount, known.currency,
                 known.is_billable, known.is_approved, known.has_receipt, known.notes)
                or known.is_gone
                or head.state = 'held'
                   and (resolved.project_code, resolved.resource_id) is distinct from (known.project_code, known.resource_id)))
),
load as (
    insert into core.time_load (entries) select count(*) from changed having count(*) > 0 returning load_id
),
added as (
    insert into core.expense_entry (
        expense_entry_id, version, load_id, project_ref, resource_ref, spent_on, category, amount, currency, is_billable,
        is_approved, has_receipt, notes, modified_at, project_code, resource_id)
    select expense_entry_id, version, load_id, project_ref, resource_ref, spent_on, category, amount, currency, is_billable,
           is_approved, has_receipt, notes, modified_at, project_code, resource_id
    from changed cross join load
    returning expense_entry_id, version
),
pointed as (
    insert into core.expense_entry_head (expense_entry_id, latest_version, state)
    select expense_entry_id, version, 'pending' from added
    on conflict (expense_entry_id) do update set latest_version = excluded.latest_version, state = 'pending'
)
select (select count(*) from changed) as changed, (select max(modified_at) from entry_staging) as read_to
