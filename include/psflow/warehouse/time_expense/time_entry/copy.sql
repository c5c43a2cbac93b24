-- The columns of `systems.ports.TimeEntryRow`, in its order.
copy entry_staging (time_entry_id, project_ref, resource_ref, worked_on, minutes, role, is_billable, is_approved, notes,
                   modified_at, payload, contract_line, region)
from stdin
