-- Where a load lands before anything is decided; one session's own, gone with the transaction.
create temporary table entry_staging (
    time_entry_id text not null, project_ref text, resource_ref text, worked_on date, minutes integer, role text,
    is_billable boolean, is_approved boolean, notes text, modified_at timestamptz not null, payload text not null,
    contract_line text, region text
) on commit drop
