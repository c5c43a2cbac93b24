-- A new version, not approved, of every expense of a window that a complete read of it did not have.
with present as (
    select unnest(%(present)s::text[]) as expense_entry_id
),
changed as (
    select entry.*
    from core.expense_entry_head head
    join core.expense_entry entry on (entry.expense_entry_id, entry.version) = (head.expense_entry_id, head.latest_version)
    left join present on present.expense_entry_id = head.expense_entry_id
    where entry.spent_on >= %(worked_from)s and not entry.is_gone and present.expense_entry_id is null
),
load as (
    insert into core.time_load (entries) select count(*) from changed having count(*) > 0 returning load_id
),
added as (
    insert into core.expense_entry (
        expense_entry_id, version, load_id, project_ref, resource_ref, spent_on, category, amount, currency, is_billable,
        is_approved, has_receipt, notes, modified_at, project_code, resource_id, is_gone)
    select expense_entry_id, version + 1, load.load_id, project_ref, resource_ref, spent_on, category, amount, currency,
           coalesce(is_billable, false), false, has_receipt, notes, modified_at, project_code, resource_id, true
    from changed cross join load
    returning expense_entry_id, version
)
update core.expense_entry_head head set latest_version = added.version, state = 'pending'
from added where added.expense_entry_id = head.expense_entry_id
