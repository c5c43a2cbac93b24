-- The columns of `systems.ports.ExpenseRow`, in its order.
copy entry_staging (expense_entry_id, project_ref, resource_ref, spent_on, category, amount, currency, is_billable,
                      is_approved, has_receipt, notes, modified_at, payload)
from stdin
