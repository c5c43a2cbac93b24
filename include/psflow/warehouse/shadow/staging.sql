-- Where two computations of the same entries are compared; one session's own, gone with the transaction.
create temporary table shadow_billed (  -- what is billed, a row a line
    system text not null, bill_id text not null, line_id text not null, entry_key text, project_code text, worked_on date,
    billed_on date, billed_at timestamptz, is_final boolean not null, minutes integer, billed_minutes numeric,
    hourly_rate numeric, rate_id text, fx_rate numeric, amount numeric, currency char(3) not null, says text
) on commit drop;
create temporary table shadow_should (  -- what the engine bills, a row an entry or item
    entry_key text primary key, source text not null, contract_id text not null, project_code text not null,
    worked_on date not null, loaded_at timestamptz, minutes integer, billed_minutes numeric, hourly_rate numeric, rate_id text,
    fx_rate numeric, markup_pct numeric, whole_amount numeric, over_amount numeric not null, cap_id text,
    lost_amount numeric not null, amount numeric, currency char(3) not null, reason text, says text
) on commit drop;
create temporary table shadow_tax (  -- the tax of each charge, by one psflow.yaml and by the other
    is_before boolean not null default false, charge_id text not null, entry_key text not null, project_code text not null,
    payer_id text, worked_on date not null, currency char(3) not null, amount numeric not null, tax_id bigint
) on commit drop;
create temporary table shadow_compared (
    project_code text, system text not null, bill_id text not null, line_id text not null, entry_key text, worked_on date,
    billed_amount numeric, should_amount numeric, currency char(3) not null, cause text, is_final boolean not null,
    is_covered boolean not null, billed jsonb not null, should jsonb not null
) on commit drop
