-- Keep a new version of every staged entry that says something new, resolved to our project and person.
-- reads: entry_staging, core.time_entry, core.time_entry_head, core.resource, ops.crosswalk
with kept as (
    insert into raw.record (system, instance, kind, record_id, payload_hash, payload)
    select %(system)s, %(instance)s, 'time_entry', time_entry_id,
           encode(sha256(convert_to(payload, 'UTF8')), 'hex'), payload
    from entry_staging
    on conflict do nothing
),
staged as (
    select distinct on (time_entry_id)
           time_entry_id, project_ref, resource_ref, worked_on, minutes, role, is_billable, is_approved, notes, modified_at,
           contract_line, region
    from entry_staging
    order by time_entry_id, modified_at desc
),
held as (  -- what their gate held: project or person may be known by now
    select entry.time_entry_id, entry.project_ref, entry.resource_ref, entry.worked_on, entry.minutes, entry.role,
           entry.is_billable, entry.is_approved, entry.notes, entry.modified_at, entry.contract_line, entry.region
    from core.time_entry_head head
    join core.time_entry entry on (entry.time_entry_id, entry.version) = (head.time_entry_id, head.latest_version)
    where head.state = 'held' and not entry.is_gone
      and not exists (select from staged where staged.time_entry_id = head.time_entry_id)
),
resolved as (
    select candidate.*, project.entity_id as project_code, resource.resource_id,
           coalesce(candidate.role, resource.role) as billed_role
    from (select * from staged union all select * from held) candidate
    left join ops.crosswalk project on project.kind = 'project' and project.system = %(system)s
        and project.instance = %(instance)s and project.external_id = candidate.project_ref
    left join ops.crosswalk person on person.kind = 'resource' and person.system = %(system)s
        and person.instance = %(instance)s and person.external_id = candidate.resource_ref
    left join core.resource on resource.resource_id = person.entity_id
),
changed as (
    select resolved.*, coalesce(head.latest_version, 0) + 1 as version
    from resolved
    left join core.time_entry_head head using (time_entry_id)
    left join core.time_entry known
        on (known.time_entry_id, known.version) = (head.time_entry_id, head.latest_version)
    where head.time_entry_id is null
       or (resolved.modified_at >= known.modified_at
           and ((resolved.project_ref, resolved.resource_ref, resolved.worked_on, resolved.minutes, resolved.role,
                 resolved.is_billable, resolved.is_approved, resolved.notes, resolved.contract_line, resolved.region)
                is distinct from
                (known.project_ref, known.resource_ref, known.worked_on, known.minutes, known.role,
                 known.is_billable, known.is_approved, known.notes, known.contract_line, known.region)
                -- a passed entry is not judged again because its person changed roles
                or head.state = 'held'
                   and (resolved.project_code, resolved.resource_id, resolved.billed_role)
                       is distinct from (known.project_code, known.resource_id, known.billed_role)))
),
load as (
    insert into core.time_load (entries) select count(*) from changed having count(*) > 0 returning load_id
),
added as (
    insert into core.time_entry (
        time_entry_id, version, load_id, project_ref, resource_ref, worked_on, minutes, role, is_billable,
        is_approved, notes, modified_at, project_code, resource_id, billed_role, contract_line, region)
    select time_entry_id, version, load_id, project_ref, resource_ref, worked_on, minutes, role, is_billable,
           is_approved, notes, modified_at, project_code, resource_id, billed_role, contract_line, region
    from changed cross join load
    returning time_entry_id, version
),
moved as (
    update core.time_entry_head head set latest_version = added.version, state = 'pending'
    from added where added.time_entry_id = head.time_entry_id and added.version > 1
),
pointed as (
    insert into core.time_entry_head (time_entry_id, latest_version, state)
    select time_entry_id, version, 'pending' from added where version = 1
)
select (select count(*) from changed) as changed, (select max(modified_at) from entry_staging) as read_to
