-- Where a billing run works out its difference; one session's own, gone with the transaction.
create temporary table billing_difference (
    charge_id text not null, kind text not null, source text not null, entry_key text not null, time_entry_id text,
    expense_entry_id text, version integer not null, project_code text not null, worked_on date not null, role text,
    minutes integer, hourly_rate numeric(18, 4), category text, cost numeric(18, 4), cost_currency char(3),
    fx_rate numeric(18, 8), amount numeric(18, 3), currency char(3) not null
) on commit drop
