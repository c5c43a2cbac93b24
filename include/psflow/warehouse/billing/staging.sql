-- Where a billing run works out its difference; one session's own, gone with the transaction.
create temporary table billing_difference (
    charge_id text not null, kind text not null, time_entry_id text not null, version integer not null,
    project_code text not null, worked_on date not null, role text not null, minutes integer not null,
    hourly_rate numeric(18, 4), amount numeric(18, 3), currency char(3) not null
) on commit drop
