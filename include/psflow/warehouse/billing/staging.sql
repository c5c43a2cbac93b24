-- Where a billing run works out its difference; one session's own, gone with the transaction.
create temporary table billing_passed (
    like billing.passed_entry, place text, asks text
) on commit drop;
create temporary table billing_rate (  -- the best price of a question from a day on, and how many are as good
    asks text not null, is_overtime boolean not null, valid_from date not null, valid_before date, rate_id text not null,
    hourly_rate numeric, day_rate numeric, hours_per_day numeric, ties bigint not null
) on commit drop;
create temporary table billing_settled (  -- what is invoiced whole and needs no look: it is in no table below
    entry_key text not null, project_code text not null, contract_line text, currency char(3) not null, amount numeric not null
) on commit drop;
create temporary table billing_taxed (  -- which tax the work on a project takes; no row: none fits
    project_code text not null, payer_id text, valid_from date, valid_to date, tax_id bigint not null
) on commit drop;
create temporary table billing_live (  -- what was billed and stands
    like billing.charge, fate text
) on commit drop;
create temporary table billing_part (  -- what of an hour is overtime, and what it was billed at; no row: none of it
    entry_key text not null, component text not null, minutes integer not null, overtime_id bigint not null,
    multiplier numeric, hourly_rate numeric, day_rate numeric, hours_per_day numeric, rate_id text
) on commit drop;
create temporary table billing_work (  -- what should be billed, each row worth something or with the reason why not
    source text not null, entry_key text not null, time_entry_id text, expense_entry_id text, item_id text,
    component text not null default 'work', version integer not null, project_code text not null, contract_id text not null,
    customer_id text not null, contract_line text, resource_id text, worked_on date not null, role text, minutes integer,
    hourly_rate numeric(18, 4), day_rate numeric(18, 4), hours_per_day numeric(4, 2), overtime_id bigint, rate_id text,
    category text, cost numeric(18, 4), cost_currency char(3), fx_rate numeric(18, 8), whole_minutes numeric(18, 6),
    billable_cost numeric(18, 4), markup_pct numeric(7, 4),
    terms_version integer, whole_amount numeric(18, 3), currency char(3) not null, reason text
) on commit drop;
create temporary table billing_owed (  -- of that, what stands in no charge yet, and how much of it caps and orders let through
    entry_key text not null, component text not null, whole_minutes numeric, whole_amount numeric not null,
    hourly_rate numeric, day_rate numeric, hours_per_day numeric,
    minutes integer, billed_minutes numeric, amount numeric not null, take numeric not null, adjustment_id bigint,
    stands_under text, order_id text, cap_id text, held numeric not null default 0, held_for text, held_cap_id text
) on commit drop;
create temporary table billing_room (  -- what each cap still lets through
    cap_id text not null, used numeric not null, room numeric not null
) on commit drop;
create temporary table billing_left (  -- what is not billed, and why
    like billing.left_out including defaults
) on commit drop;
create temporary table billing_difference (
    charge_id text not null, kind text not null, source text not null, entry_key text not null, time_entry_id text,
    expense_entry_id text, version integer not null, project_code text not null, worked_on date not null, role text,
    minutes integer, hourly_rate numeric(18, 4), category text, cost numeric(18, 4), cost_currency char(3),
    fx_rate numeric(18, 8), amount numeric(18, 3), currency char(3) not null, item_id text, component text not null,
    seq integer, resource_id text, contract_line text, entry_minutes integer, billed_minutes numeric(18, 6),
    whole_minutes numeric(18, 6), whole_amount numeric(18, 3), billable_cost numeric(18, 4), markup_pct numeric(7, 4),
    rate_id text, terms_version integer, adjustment_id bigint, order_id text, accounting_on date, day_rate numeric(18, 4),
    hours_per_day numeric(4, 2), overtime_id bigint, reason text, payer_id text, split_id bigint, tax_id bigint
) on commit drop;
create temporary table billing_waits (  -- what several customers pay and what was taken out of the difference again
    like billing_difference
) on commit drop
