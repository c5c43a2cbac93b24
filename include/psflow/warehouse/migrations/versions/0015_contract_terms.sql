-- What a contract bills: its terms, agreed prices, increments, caps, policies, decisions, and a ledger that holds them.

-- terms --------------------------------------------------------------------------------------------------------------

create table core.contract_term (
    contract_id text not null references core.contract,
    term_id text not null,
    version integer not null check (version > 0),
    kind text not null check (kind in ('milestone', 'fixed_fee', 'retainer', 'subscription', 'cost_plus')),
    terms jsonb not null,
    agreed_on date not null,
    reason text not null check (reason <> ''),
    primary key (contract_id, term_id, version)
);
comment on table core.contract_term is
    'Insert-only: what a contract bills beside hours and expenses; the newest version counts, a charge names its own.';

create table core.acceptance (
    contract_id text not null references core.contract,
    milestone_id text not null,
    accepted_on date not null,
    accepted_by text not null check (accepted_by <> ''),
    delivered_by text not null,
    evidence text not null check (evidence <> ''),
    primary key (contract_id, milestone_id),
    check (accepted_by <> delivered_by)
);
comment on table core.acceptance is 'Insert-only: who accepted a milestone, with the evidence; never who delivered it.';

create table core.agreed_rate (
    rate_id text primary key,
    level text not null,
    scope_id text not null,
    resource_id text,
    role text,
    region text,
    valid_from date not null,
    valid_to date,
    hourly_rate numeric(18, 4) not null check (hourly_rate > 0),
    currency char(3) not null,
    specificity text not null generated always as (
        case when resource_id is not null then 'person' when region is not null then 'role+region' else 'role' end) stored,
    check (num_nonnulls(resource_id, role) > 0)
);
create index agreed_rate_by_scope on core.agreed_rate (level, scope_id);
comment on table core.agreed_rate is
    'Prices beside the rate card. Level and specificity are ranked in psflow.yaml; two at one rank hold the hour.';
comment on column core.agreed_rate.scope_id is 'The contract line, contract or customer of that level; * of standard.';

create table core.increment (
    customer_id text not null references core.customer,
    valid_from date not null,
    minutes integer not null default 1 check (minutes > 0),
    rounding text not null default 'up' check (rounding in ('up', 'nearest')),
    per text not null default 'entry' check (per in ('entry', 'day')),
    minimum_minutes integer not null default 0 check (minimum_minutes >= 0),
    primary key (customer_id, valid_from)
);
comment on table core.increment is 'In which steps a customer is billed: changes the billed quantity, never the hours worked.';

create table core.expense_policy (
    contract_id text not null references core.contract,
    category text not null,
    valid_from date not null,
    markup_pct numeric(7, 4) not null default 0 check (markup_pct >= 0),
    unit_limit numeric(18, 4) check (unit_limit > 0),
    unit_price numeric(18, 4) check (unit_price > 0),
    primary key (contract_id, category, valid_from),
    check (num_nonnulls(unit_limit, unit_price) < 2)
);
comment on table core.expense_policy is 'What the customer pays of an expense; without a row it is the cost, recoverable tax out.';
comment on column core.expense_policy.unit_limit is 'At most this a unit (a night), before the markup; we absorb the rest.';
comment on column core.expense_policy.unit_price is 'A price a unit (a day, a kilometre) instead of the cost.';

create table billing.cap (
    cap_id text primary key,
    level text not null check (level in ('entry', 'customer_on_line', 'line', 'contract', 'customer')),
    scope_id text not null,
    limit_amount numeric(18, 3) not null check (limit_amount >= 0),
    currency char(3) not null,
    counts text not null default 'fees' check (counts in ('fees', 'fees_and_expenses')),
    on_excess text not null default 'split' check (on_excess in ('split', 'hold', 'warn')),
    warn_at_pct numeric(5, 2) not null default 100 check (warn_at_pct > 0),
    invoiced_elsewhere numeric(18, 3) not null default 0,
    committed_elsewhere numeric(18, 3) not null default 0,
    unique (level, scope_id)
);
comment on table billing.cap is 'Not to exceed: what one entry, line, contract or customer may be billed in all.';
comment on column billing.cap.on_excess is 'split the entry at the limit, hold it whole, or only warn (a soft limit).';
comment on column billing.cap.invoiced_elsewhere is 'Used up on invoices that are not in our ledger; a credit there lowers it.';

create table billing.adjustment (
    adjustment_id bigint generated always as identity primary key,
    kind text not null check (kind in ('credit', 'write_off')),
    entry_key text not null,
    minutes numeric(18, 6),
    amount numeric(18, 3) not null check (amount > 0),
    currency char(3) not null,
    decided_on date not null,
    reason text not null check (reason <> ''),
    asked_by text not null,
    approved_by text not null,
    check (asked_by <> approved_by)
);
create index adjustment_by_entry on billing.adjustment (entry_key);
comment on table billing.adjustment is
    'Insert-only: what was decided about one entry. A credit takes back part of its invoice and opens it again; a write-off ends it, in the period of decided_on.';

-- what entries say beside their hours ----------------------------------------------------------------------------------

alter table core.time_entry add column contract_line text, add column region text;
comment on column core.time_entry.contract_line is 'Contract line the work belongs to, where prices and caps hang on it.';
comment on column core.time_entry.region is 'Where the work was done; null: where the person is.';
alter table core.expense_entry add column quantity numeric(18, 4), add column recoverable_tax numeric(18, 4);
comment on column core.expense_entry.quantity is 'Nights, days or kilometres, where the policy counts them.';
comment on column core.expense_entry.recoverable_tax is 'Part of amount that the tax office pays back; null: none.';

create or replace view billing.passed_entry as
select entry.source, entry.entry_key, entry.time_entry_id, entry.expense_entry_id, entry.version, entry.load_id,
       entry.project_code, entry.worked_on, entry.role, entry.minutes, entry.category, entry.cost, entry.cost_currency,
       entry.is_to_bill, project.engagement_id, contract.legal_entity_id, contract.rate_card_id, contract.currency,
       entry.resource_id, entry.contract_line, entry.quantity, entry.recoverable_tax, contract.contract_id,
       contract.contract_type, project.customer_id, entry.region,
       case entry.source when 'time' then contract.contract_type = 'time_and_materials'
            else contract.contract_type <> 'cost_plus' end as is_by_itself
from (
    select 'time' as source, time_entry_id as entry_key, time_entry_id, null::text as expense_entry_id, version, load_id,
           project_code, worked_on, billed_role as role, minutes, null::text as category, null::numeric as cost,
           null::char(3) as cost_currency, is_approved and is_billable and minutes <> 0 as is_to_bill, resource_id,
           contract_line, null::numeric as quantity, null::numeric as recoverable_tax, region
    from core.time_entry_head
    join core.time_entry using (time_entry_id)
    where version = passed_version
    union all
    select 'expense', 'expense:' || expense_entry_id, null, expense_entry_id, version, load_id, project_code, spent_on, null,
           null, coalesce(nullif(trim(category), ''), 'other'), amount, currency::char(3),
           is_approved and is_billable and amount <> 0, resource_id, null, quantity, recoverable_tax, null
    from core.expense_entry_head
    join core.expense_entry using (expense_entry_id)
    where version = passed_version
) entry
join core.project on project.project_code = entry.project_code
join core.contract on contract.engagement_id = project.engagement_id;

comment on column billing.passed_entry.is_by_itself is
    'Billed as a row of its own; what draws on a retainer or is a cost of its contract is billed by that contract''s items.';

-- one ledger for all of them -----------------------------------------------------------------------------------------

do $$ declare ledger text;
begin
    foreach ledger in array array['batch_line', 'charge'] loop
        execute format($f$
            alter table billing.%1$I
                drop constraint %1$s_of_time, drop constraint %1$s_of_expense,
                add column item_id text check (item_id like 'item:%%'),
                add column component text not null default 'work',
                add column seq integer not null default 1 check (seq > 0),
                add column resource_id text,
                add column contract_line text,
                add column entry_minutes integer,
                add column billed_minutes numeric(18, 6),
                add column whole_minutes numeric(18, 6),
                add column whole_amount numeric(18, 3),
                add column billable_cost numeric(18, 4),
                add column markup_pct numeric(7, 4),
                add column rate_id text,
                add column terms_version integer,
                add column adjustment_id bigint references billing.adjustment,
                add column accounting_on date
        $f$, ledger);
        execute format($f$
            alter table billing.%1$I
                alter column source set expression as (
                    case when time_entry_id is not null then 'time' when expense_entry_id is not null then 'expense' else 'item' end),
                alter column entry_key set expression as (coalesce(time_entry_id, 'expense:' || expense_entry_id, item_id)),
                add constraint %1$s_of_one check (num_nonnulls(time_entry_id, expense_entry_id, item_id) = 1),
                add constraint %1$s_of_time check (
                    num_nonnulls(role, minutes, hourly_rate) = case when time_entry_id is null then 0 else 3 end),
                add constraint %1$s_of_expense check (
                    num_nonnulls(cost, cost_currency, fx_rate) = case when expense_entry_id is null then 0 else 3 end
                    and (category is null) = (time_entry_id is not null))
        $f$, ledger);
        execute format('comment on column billing.%I.billed_minutes is %L', ledger,
            'Minutes the customer pays: in the steps of core.increment and up to a cap; minutes are those worked.');
        execute format('comment on column billing.%I.whole_amount is %L', ledger,
            'What all of the entry is worth at this price; amount is less where a cap or a credit splits it.');
        execute format('comment on column billing.%I.accounting_on is %L', ledger,
            'Day it counts in the books: of the work, or the first day of the first open period.');
        execute format('comment on column billing.%I.seq is %L', ledger,
            'Counts the charges of one version of one entry: a cap or a credit may split it.');
        execute format('comment on column billing.%I.billable_cost is %L', ledger,
            'The part of cost the customer pays, before markup, in cost_currency: tax we get back and what is over policy are out.');
    end loop;
end $$;
comment on table billing.charge is
    'Append-only: one billed amount from one version of a time entry at its rate, an expense, or a contract''s item. Id: entry_key.version, "/2" behind it from the second on; of a reversal: the reversed id and ".R"; "~2" behind either when its first invoice was voided.';

drop index billing.charge_once_per_version;
create unique index charge_once_per_version on billing.charge (entry_key, version, component, seq, issue) where kind = 'charge';

alter table billing.invoice_line
    add column billed_minutes numeric(18, 6);
comment on column billing.invoice_line.billed_minutes is 'Minutes the customer pays; null before there were increments: minutes.';
alter table billing.invoice drop constraint invoice_amount_check, add check (amount <> 0);
comment on column billing.invoice.amount is 'Sum of its lines; below zero only for a credit that was decided.';

create or replace view billing.batch_content as
select line.* from billing.batch_line line
where not exists (select from billing.batch_hold hold
                  where (hold.batch_id, hold.entry_key) = (line.batch_id, line.entry_key));

create or replace view billing.void_charge as
select charge.*
from billing.void_invoice
join billing.invoice using (invoice_key)
join billing.charge using (batch_id, project_code);

create or replace view billing.counted_charge as
select charge.* from billing.charge
where not exists (select from billing.void_invoice join billing.invoice using (invoice_key)
                  where (invoice.batch_id, invoice.project_code) = (charge.batch_id, charge.project_code));

create or replace view billing.live_charge as
select charge.* from billing.counted_charge charge
where kind = 'charge' and not exists (select from billing.counted_charge r where r.reverses = charge.charge_id);

create or replace function billing.guard_reissue() returns trigger language plpgsql as $$
begin
    if not exists (
        select from billing.void_charge before
        where (before.kind, before.entry_key, before.version, before.component, before.seq, before.issue)
                  = (new.kind, new.entry_key, new.version, new.component, new.seq, new.issue - 1)
          and before.reverses is not distinct from new.reverses) then
        raise exception 'charge % is billed already, on an invoice that counts', new.charge_id using errcode = 'check_violation';
    end if;
    return null;
end $$;

create function billing.guard_accounting() returns trigger language plpgsql as $$
declare closed text;
begin
    select string_agg(distinct period.period || ' of ' || period.legal_entity_id, ', ') into closed
    from made
    join billing.batch using (batch_id)
    join core.period on period.legal_entity_id = batch.legal_entity_id and period.closed_at is not null
        and period.period = to_char(made.accounting_on, 'YYYY-MM');
    if closed is not null then
        raise exception 'period % is closed, and the batch has work that counts in it', closed using errcode = 'check_violation';
    end if;
    return null;
end $$;
create trigger guard_accounting after insert on billing.charge referencing new table as made
    for each statement execute function billing.guard_accounting();

-- what is not billed, and why ------------------------------------------------------------------------------------------

create table billing.left_out (
    entry_key text not null,
    reason text not null,
    source text not null,
    legal_entity_id text not null,
    project_code text not null,
    worked_on date not null,
    minutes integer,
    cost numeric(18, 4),
    amount numeric(18, 3),
    currency char(3) not null,
    cap_id text references billing.cap,
    said_at timestamptz not null default clock_timestamp(),
    primary key (entry_key, reason)
);
comment on table billing.left_out is
    'What the newest batch of a legal entity did not bill of an entry: over_cap, written_off, credited, or held for the reason it says.';

-- how caps and increments count ----------------------------------------------------------------------------------------

create function billing.in_steps(minutes numeric, step integer, rounding text, minimum integer) returns numeric
    language sql immutable parallel safe
    return sign(minutes) * greatest(
        case rounding when 'up' then ceil(abs(minutes) / step) else round(abs(minutes) / step) end * step,
        case when minutes = 0 then 0 else minimum end);
comment on function billing.in_steps is 'Minutes as a customer pays them: in steps, with a minimum; below zero mirrors above.';

create function billing.take_next(state numeric[], amount numeric, room numeric, is_whole boolean) returns numeric[]
    language plpgsql immutable parallel safe as $$
declare
    used numeric := coalesce(state[1], 0);
    taken numeric := case when amount <= room - used or amount <= 0 then amount when is_whole then 0
                          else greatest(room - used, 0) end;
begin
    return array[used + taken, taken];
end $$;
create function billing.taken(state numeric[]) returns numeric language sql immutable parallel safe return state[2];
create aggregate billing.take(amount numeric, room numeric, is_whole boolean) (
    sfunc = billing.take_next, stype = numeric[], finalfunc = billing.taken);
comment on aggregate billing.take(numeric, numeric, boolean) is
    'As a window in order: what each amount gets of the room the ones before it left; an amount below zero gives room back.';

-- what the gate sees and two people approve --------------------------------------------------------------------------

create or replace view billing.batch_gate as
select line.charge_id, line.kind, line.time_entry_id, line.project_code, line.role, line.minutes, line.hourly_rate,
       line.amount, line.currency,
       case when line.source <> 'time' then null
            when line.amount = billing.round_money(coalesce(line.billed_minutes, line.minutes) * line.hourly_rate / 60, line.currency)
                then 'yes'
            else 'no' end as is_rated_right,
       case when line.currency = contract.currency then 'yes' else 'no' end as is_contract_currency,
       line.entry_key, line.category, line.cost, line.cost_currency, line.fx_rate,
       case when line.source <> 'expense' then null
            when line.kind = 'reversal'
                 or abs(line.amount) < abs(line.whole_amount)
                 or line.amount = billing.round_money(
                     coalesce(line.billable_cost, line.cost) * line.fx_rate * (1 + coalesce(line.markup_pct, 0) / 100), line.currency)
                 and (line.cost_currency <> line.currency or line.fx_rate = 1) then 'yes'
            else 'no' end as is_at_cost
from billing.batch_line line
left join core.project using (project_code)
left join core.contract using (engagement_id)
where line.batch_id = current_setting('psflow.batch_id');

create or replace function billing.content_hash(batch text) returns text language sql stable
    return (select encode(sha256(convert_to(
                concat_ws('|', head.legal_entity_id, head.period, head.invoiced_on) || e'\n' || content.lines, 'UTF8')), 'hex')
            from billing.batch head
            cross join lateral (
                select string_agg(
                    row(charge_id, kind, entry_key, version, project_code, worked_on, role, minutes, hourly_rate, category,
                        cost, cost_currency, fx_rate, amount, currency, component, seq, billed_minutes, rate_id,
                        billable_cost, markup_pct, terms_version, adjustment_id, accounting_on)::text,
                    e'\n' order by charge_id collate "C") as lines
                from billing.batch_content line where line.batch_id = head.batch_id) content
            where head.batch_id = batch);

-- their hash is the old one: the next run freezes them anew
update billing.batch set state = 'stale' where state in ('checked', 'submitted', 'approved');

-- who may what -------------------------------------------------------------------------------------------------------

grant select, insert on core.contract_term, core.acceptance, core.agreed_rate, core.increment, core.expense_policy,
    billing.cap, billing.adjustment, billing.left_out to psflow_app;
grant update, delete on core.agreed_rate, core.increment, core.expense_policy, billing.left_out to psflow_app;
grant update (limit_amount, on_excess, counts, warn_at_pct, invoiced_elsewhere, committed_elsewhere) on billing.cap to psflow_app;
grant usage on all sequences in schema billing to psflow_app;
