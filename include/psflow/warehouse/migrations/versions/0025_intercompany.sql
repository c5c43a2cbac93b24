-- Intercompany: what one company of ours is owed by another for each hour its people work there, in the books of both.

-- who employs whom -----------------------------------------------------------------------------------------------------

create table core.employment (
    resource_id text not null references core.resource,
    valid_from date not null,
    employer text,
    primary key (resource_id, valid_from)
);
comment on table core.employment is 'Which company employs a person from a day on, until the next row. Owner: HR.';
comment on column core.employment.employer is 'As HR writes it; hr_values in psflow.yaml say which legal entity. Null: HR does not say.';

-- what is agreed -------------------------------------------------------------------------------------------------------

create table billing.transfer_rule (
    rule_id bigint generated always as identity primary key,
    lender text not null,
    borrower text not null,
    currency char(3) not null,
    price_kind text not null check (price_kind in ('rate', 'cost_plus', 'pct_of_bill')),
    role text,
    hourly_rate numeric(18, 4) check (hourly_rate > 0),
    factor_pct numeric(9, 4) not null check (factor_pct > 0),
    constraint transfer_rule_once unique nulls not distinct (lender, borrower, currency, price_kind, role, hourly_rate, factor_pct),
    constraint transfer_rule_of_two check (borrower <> lender),
    constraint transfer_rule_has_rates check (num_nonnulls(role, hourly_rate) = case price_kind when 'rate' then 2 else 0 end)
);
comment on table billing.transfer_rule is 'Insert-only: the prices that psflow.yaml named for lent hours; a transfer names its own.';
comment on column billing.transfer_rule.hourly_rate is 'Price of an hour of the role, in currency.';
comment on column billing.transfer_rule.factor_pct is 'What of the basis is owed: 100 of a rate, 110 of a cost plus 10 %, 70 of a bill at 70 %.';

-- the ledger -----------------------------------------------------------------------------------------------------------

create table billing.transfer (
    transfer_id text not null,
    side text not null check (side in ('due_from', 'due_to')),
    legal_entity_id text not null,
    partner_id text not null,
    kind text not null check (kind in ('transfer', 'reversal')),
    time_entry_id text not null,
    version integer not null,
    seq integer not null check (seq > 0),
    project_code text not null,
    resource_id text not null,
    role text,
    worked_on date not null,
    minutes integer not null,
    rule_id bigint not null,
    basis numeric(18, 4) not null,
    basis_minutes integer not null,
    basis_currency char(3) not null,
    fx_rate numeric(18, 8) not null,
    factor_pct numeric(9, 4) not null,
    amount numeric(18, 3) not null,
    currency char(3) not null,
    accounting_on date not null,
    made_at timestamptz not null default clock_timestamp(),
    reverses text generated always as (case kind when 'reversal' then left(transfer_id, -2) end) stored,
    primary key (transfer_id, side),
    foreign key (time_entry_id, version) references core.time_entry,
    constraint transfer_names_its_hour check (
        transfer_id = time_entry_id || '.' || version::text || coalesce('~' || nullif(seq, 1)::text, '')
                      || case kind when 'reversal' then '.R' else '' end),
    constraint transfer_has_a_price check (basis > 0 and basis_minutes > 0 and fx_rate > 0),
    constraint transfer_is_priced check (
        amount = billing.round_money(minutes * basis * fx_rate * factor_pct / (basis_minutes * 100), currency)),
    constraint transfer_counts_in_time check (
        accounting_on = worked_on or accounting_on > worked_on and extract(day from accounting_on) = 1)
);
create index transfer_by_reversed on billing.transfer (reverses) where reverses is not null;
create index transfer_by_hour on billing.transfer (time_entry_id);
create index transfer_by_month on billing.transfer (accounting_on);
comment on table billing.transfer is
    'Append-only: a lent hour in the books of one of two companies of ours; each has its row. Id of a reversal: the reversed id and ".R".';
comment on column billing.transfer.side is 'due_from: in the books of the lender, who is owed; due_to: in those of the borrower, who owes.';
comment on column billing.transfer.legal_entity_id is 'Whose books.';
comment on column billing.transfer.partner_id is 'The other company.';
comment on column billing.transfer.seq is 'Counts the transfers of one version of an hour: its employer may be corrected.';
comment on column billing.transfer.basis is 'Money in basis_currency for basis_minutes: the rate of the rule, the cost of an hour, or what the hour is billed at.';
comment on column billing.transfer.fx_rate is 'currency for one of basis_currency, on the day of the work.';
comment on column billing.transfer.accounting_on is 'The work, or the first day of the first month that is open in both books.';

create view billing.live_transfer as
select transfer.* from billing.transfer
where kind = 'transfer'
  and not exists (select from billing.transfer back where (back.reverses, back.side) = (transfer.transfer_id, transfer.side));
comment on view billing.live_transfer is 'What stands of the ledger: transfers that nothing took back.';

create table billing.transfer_waiting (
    time_entry_id text primary key,
    version integer not null,
    reason text not null check (reason in ('EMPLOYER_MISSING', 'EMPLOYER_UNKNOWN', 'RULE_MISSING', 'RATE_MISSING',
                                           'COST_MISSING', 'FX_MISSING', 'NO_BILL', 'NOT_BILLED')),
    lender text,
    borrower text not null,
    project_code text not null,
    worked_on date not null,
    minutes integer not null
);
comment on table billing.transfer_waiting is 'Approved hours whose transfer lacks something, as of the last run; a correction that lacks something waits whole.';

-- what must never happen -----------------------------------------------------------------------------------------------

create function billing.guard_transfer() returns trigger language plpgsql as $$
declare found text;
begin
    select min(one.transfer_id) into found from made one
    where not exists (
        select from made other
        where other.transfer_id = one.transfer_id and other.side <> one.side
          and (other.legal_entity_id, other.partner_id, other.project_code, other.resource_id, other.role, other.worked_on,
               other.minutes, other.rule_id, other.amount, other.currency, other.accounting_on)
              is not distinct from
              (one.partner_id, one.legal_entity_id, one.project_code, one.resource_id, one.role, one.worked_on, one.minutes,
               one.rule_id, one.amount, one.currency, one.accounting_on));
    if found is not null then
        raise exception 'transfer % is not the same in both books', found using errcode = 'check_violation';
    end if;
    select min(transfer_id) into found from made
    where kind = 'transfer' and not exists (
        select from core.time_entry entry
        where (entry.time_entry_id, entry.version) = (made.time_entry_id, made.version) and entry.is_approved
          and (entry.project_code, entry.resource_id, entry.billed_role, entry.worked_on, entry.minutes)
              is not distinct from (made.project_code, made.resource_id, made.role, made.worked_on, made.minutes));
    if found is not null then
        raise exception 'transfer % is not of its hour, as it was approved', found using errcode = 'check_violation';
    end if;
    select min(transfer_id) into found from made
    where side = 'due_from' and not exists (
        select from billing.transfer_rule rule
        where rule.rule_id = made.rule_id
          and (rule.lender, rule.borrower, rule.currency, rule.factor_pct)
              = (made.legal_entity_id, made.partner_id, made.currency, made.factor_pct)
          and (rule.hourly_rate is null or (rule.hourly_rate, rule.role, rule.currency, 60)
                                           = (made.basis, made.role, made.basis_currency, made.basis_minutes)));
    if found is not null then
        raise exception 'transfer % is not at the price of its rule', found using errcode = 'check_violation';
    end if;
    select min(transfer_id) into found from made
    where kind = 'reversal' and not exists (
        select from billing.transfer before
        where (before.transfer_id, before.side, before.kind) = (made.reverses, made.side, 'transfer')
          and (before.legal_entity_id, before.partner_id, before.project_code, before.resource_id, before.worked_on, before.minutes,
               before.rule_id, before.amount, before.currency)
              = (made.legal_entity_id, made.partner_id, made.project_code, made.resource_id, made.worked_on, -made.minutes,
                 made.rule_id, -made.amount, made.currency));
    if found is not null then
        raise exception 'reversal % is not what was transferred', found using errcode = 'check_violation';
    end if;
    select min(time_entry_id) into found
    from (select time_entry_id from billing.live_transfer where time_entry_id in (select time_entry_id from made)
          group by time_entry_id, side having count(*) > 1) twice;
    if found is not null then
        raise exception 'hour % would be transferred twice', found using errcode = 'check_violation';
    end if;
    return null;
end $$;
comment on function billing.guard_transfer is
    'A transfer is the same in both books, of an approved hour, at its rule''s price; a reversal is all of one; an hour has one.';
create trigger guard after insert on billing.transfer referencing new table as made
    for each statement execute function billing.guard_transfer();

create function billing.guard_transfer_period() returns trigger language plpgsql as $$
begin
    perform core.refuse_closed(legal_entity_id, month, false, 'transfers of lent hours count in it')
    from (select distinct legal_entity_id, to_char(accounting_on, 'YYYY-MM') as month from made order by 1, 2) books;
    return null;
end $$;
create trigger guard_period after insert on billing.transfer referencing new table as made
    for each statement execute function billing.guard_transfer_period();

-- who may what ---------------------------------------------------------------------------------------------------------

grant select, insert, update, delete on core.employment to psflow_app;
grant select, insert on billing.transfer_rule, billing.transfer to psflow_app;
grant select on billing.live_transfer to psflow_app;
grant select, insert, delete on billing.transfer_waiting to psflow_app;
grant usage on all sequences in schema billing to psflow_app;
