-- A new version, not approved, of every entry of a window that a complete read of it did not have; and one as it was
-- before of every such entry that is there again.
with present as (
    select unnest(%(present)s::text[]) as time_entry_id
),
known as (
    select entry.*, present.time_entry_id is not null as is_there
    from core.time_entry_head head
    join core.time_entry entry on (entry.time_entry_id, entry.version) = (head.time_entry_id, head.latest_version)
    left join present on present.time_entry_id = head.time_entry_id
    where entry.worked_on >= %(worked_from)s
),
changed as (
    select time_entry_id, version + 1 as version, project_ref, resource_ref, worked_on, minutes, role,
           coalesce(is_billable, false) as is_billable, false as is_approved, notes, modified_at, project_code,
           resource_id, billed_role, contract_line, region, true as is_gone
    from known
    where not is_gone and not is_there
    union all
    select before.time_entry_id, known.version + 1, before.project_ref, before.resource_ref, before.worked_on,
           before.minutes, before.role, before.is_billable, before.is_approved, before.notes, before.modified_at,
           before.project_code, before.resource_id, before.billed_role, before.contract_line, before.region, false
    from known
    join core.time_entry before on (before.time_entry_id, before.version) = (known.time_entry_id, known.version - 1)
    where known.is_gone and known.is_there
),
load as (
    insert into core.time_load (entries) select count(*) from changed having count(*) > 0 returning load_id
),
added as (
    insert into core.time_entry (
        time_entry_id, version, load_id, project_ref, resource_ref, worked_on, minutes, role, is_billable, is_approved,
        notes, modified_at, project_code, resource_id, billed_role, contract_line, region, is_gone)
    select time_entry_id, version, load_id, project_ref, resource_ref, worked_on, minutes, role, is_billable, is_approved,
           notes, modified_at, project_code, resource_id, billed_role, contract_line, region, is_gone
    from changed cross join load
    returning time_entry_id, version
)
update core.time_entry_head head set latest_version = added.version, state = 'pending'
from added where added.time_entry_id = head.time_entry_id
