-- Where a load lands before anything is decided; one session's own, gone with the transaction.
create temporary table entry_staging (
    expense_entry_id text not null, project_ref text, resource_ref text, spent_on date, category text,
    amount numeric(18, 4), currency text, is_billable boolean, is_approved boolean, has_receipt boolean, notes text,
    modified_at timestamptz not null, payload text not null
) on commit drop
