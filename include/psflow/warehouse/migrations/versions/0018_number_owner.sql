-- Who owns the number: bills of other systems, priced again.

-- whose number it is -------------------------------------------------------------------------------------------------

create table ops.number_owner (
    statement_id bigint generated always as identity primary key,
    rules jsonb not null,
    told_at timestamptz not null default clock_timestamp()
);
comment on table ops.number_owner is
    'Insert-only: whose number the invoices of a contract are, as psflow.yaml says; the newest row counts, of its rules the first that fits.';

create function billing.number_owner(legal_entity text, contract text) returns text language sql stable
    return coalesce(
        (select rule ->> 'owner'
         from jsonb_array_elements((select rules from ops.number_owner order by statement_id desc limit 1))
             with ordinality said (rule, place)
         where coalesce(rule ->> 'legal_entity_id', legal_entity) = legal_entity
           and coalesce(rule ->> 'contract_id', contract) = contract
         order by place limit 1),
        'psflow');
comment on function billing.number_owner is 'psflow, psa or erp: who makes the invoices of a contract.';

-- what the others bill -----------------------------------------------------------------------------------------------

create table core.bill (
    system text not null,
    instance text not null,
    bill_id text not null,
    made_by text not null check (made_by in ('psa', 'erp')),
    number text,
    state text not null check (state in ('draft', 'open', 'cancelled')),
    currency char(3) not null,
    billed_on date,
    balance numeric(18, 3),
    tax_pct numeric(9, 4),
    modified_at timestamptz not null,
    primary key (system, instance, bill_id)
);
create table core.bill_line (
    system text not null,
    instance text not null,
    bill_id text not null,
    line_id text not null,
    kind text not null check (kind in ('time', 'expense', 'fee')),
    entry_id text,
    project_code text,
    minutes integer,
    hourly_rate numeric(18, 4),
    amount numeric(18, 3),
    says text,
    primary key (system, instance, bill_id, line_id),
    foreign key (system, instance, bill_id) references core.bill on delete cascade
);
comment on table core.bill is 'Invoices that another system makes, as last read; none of ours.';
comment on column core.bill.balance is 'What is still to be paid, tax included; null: not told.';
comment on column core.bill_line.entry_id is 'Time entry or expense that the line bills; null: the line names none.';
comment on column core.bill_line.amount is 'Net, in the currency of the bill; null: the line does not say what it comes to.';

-- both computations, side by side --------------------------------------------------------------------------------------

create table billing.shadow_line (
    legal_entity_id text not null,
    project_code text,
    system text not null,
    bill_id text not null,
    line_id text not null,
    entry_key text,
    worked_on date,
    billed_amount numeric(18, 3),
    should_amount numeric(18, 3),
    currency char(3) not null,
    difference numeric(18, 3) generated always as (billed_amount - should_amount) stored,
    cause text,
    is_final boolean not null,
    billed jsonb not null,
    should jsonb not null,
    judged_at timestamptz not null default clock_timestamp(),
    primary key (system, bill_id, line_id)
);
create index shadow_line_by_entity on billing.shadow_line (legal_entity_id);
create index shadow_line_by_entry on billing.shadow_line (entry_key);
comment on table billing.shadow_line is
    'Each line of a bill of another system as psflow prices it, judged anew with each batch; with bill_id "-": what no bill has.';
comment on column billing.shadow_line.cause is 'Why the two differ; null: they do not.';
comment on column billing.shadow_line.is_final is 'Not of a draft, which may still change.';

create function billing.passes(entry text) returns boolean language sql stable
    return coalesce(
        (select bool_and(line.cause is null and line.is_final and not exists (
             select from billing.shadow_line beside
             where (beside.system, beside.bill_id) = (line.system, line.bill_id) and beside.cause is not null))
         from billing.shadow_line line where line.entry_key = entry),
        false);
comment on function billing.passes is 'Whether an entry is on a bill of another system of which psflow prices every line alike.';

-- what must never happen ---------------------------------------------------------------------------------------------

create function billing.guard_number() returns trigger language plpgsql as $$
declare found text;
begin
    if not exists (select from ops.number_owner where rules <> '[]') then
        return null;  -- every number is psflow's
    end if;
    select string_agg(distinct contract_id || ' (' || owner || ')', ', ') into found
    from (select distinct batch_id, project_code from added) added
    join core.project using (project_code)
    join core.contract using (engagement_id)
    cross join lateral (select billing.number_owner(contract.legal_entity_id, contract.contract_id) as owner) whose
    where owner = 'erp'
       or owner = 'psa' and exists (
           select from billing.batch_content line
           where line.batch_id = added.batch_id and line.project_code = added.project_code and line.kind = 'charge'
             and not billing.passes(line.entry_key));
    if found is not null then
        raise exception 'the number is another system''s, or its bill has differences: %', found using errcode = 'check_violation';
    end if;
    return null;
end $$;
comment on function billing.guard_number is 'psflow makes no line and no invoice of its own where another system owns the number.';
create trigger guard_number after insert on billing.batch_line referencing new table as added
    for each statement execute function billing.guard_number();
create trigger guard_number after insert on billing.invoice referencing new table as added
    for each statement execute function billing.guard_number();

-- who may what -------------------------------------------------------------------------------------------------------

grant select, insert on ops.number_owner, core.bill, core.bill_line, billing.shadow_line to psflow_app;
grant update on core.bill to psflow_app;
grant delete on core.bill_line, billing.shadow_line to psflow_app;
grant usage on all sequences in schema ops to psflow_app;
