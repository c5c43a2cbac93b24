-- The first line: one deal from closed-won to a tied-out invoice.
-- Insert-only tables are insert-only by grant; what must never happen is a constraint or a trigger, not a habit.

do $$ declare role text;
begin
    foreach role in array array['psflow_app', 'psflow_finance'] loop
        if not exists (select from pg_roles where rolname = role) then
            begin  -- roles belong to the whole server: another database may be migrated at this moment
                execute format('create role %I nologin', role);
            exception when duplicate_object or unique_violation then null;
            end;
        end if;
    end loop;
end $$;

create extension if not exists btree_gist;
create schema raw;      -- as received
create schema core;     -- canonical
create schema billing;  -- batches and the charge ledger
create schema finance;  -- what finance reads
create schema ops;      -- what we already did

-- raw ----------------------------------------------------------------------------------------------------------------

create table raw.record (
    system text not null,
    instance text not null,
    kind text not null,
    record_id text not null,
    payload_hash text not null,
    payload text not null,
    received_at timestamptz not null default clock_timestamp(),
    primary key (system, instance, kind, record_id, payload_hash)
);
comment on table raw.record is 'Every version of every record as received, once.';

-- core ---------------------------------------------------------------------------------------------------------------

create table core.customer (
    customer_id text primary key,
    name text not null,
    street text,
    city text,
    country text
);

create table core.opportunity (
    opportunity_id text primary key,
    account_id text not null,
    name text not null,
    is_won boolean not null,
    is_closed boolean not null,
    amount numeric(18, 4),
    currency char(3),
    legal_entity_value text,
    rate_card_name text,
    contract_type text,
    starts_on date,
    ends_on date,
    modified_at timestamptz not null
);

create table core.opportunity_line (
    opportunity_id text not null references core.opportunity,
    line_id text not null,
    product_code text,
    quantity numeric(18, 4) not null,
    unit_price numeric(18, 4) not null,
    primary key (opportunity_id, line_id)
);

create sequence core.engagement_number start 1001;

create table core.engagement (
    engagement_id text primary key default 'E-' || nextval('core.engagement_number'),
    opportunity_id text not null unique references core.opportunity,
    customer_id text not null references core.customer,
    epoch integer not null default 1 check (epoch > 0)
);
comment on column core.engagement.epoch is 'Counts up when a deal is won again.';

create table core.rate_card (
    rate_card_id text primary key,
    name text not null,
    currency char(3) not null
);

create table core.rate (
    rate_card_id text not null references core.rate_card,
    role text not null,
    valid_from date not null,
    valid_to date,
    hourly_rate numeric(18, 4) not null check (hourly_rate > 0),
    primary key (rate_card_id, role, valid_from),
    exclude using gist (rate_card_id with =, role with =, daterange(valid_from, valid_to, '[]') with &&)
);
comment on table core.rate is 'Price of one hour of one role, both dates included; two prices for one day are refused.';

create table core.contract (
    contract_id text primary key,
    engagement_id text not null unique references core.engagement,
    legal_entity_id text not null,
    contract_type text not null,
    currency char(3) not null,
    rate_card_id text not null references core.rate_card
);

create table core.project (
    project_code text primary key,
    engagement_id text not null unique references core.engagement,
    name text not null,
    customer_id text not null references core.customer,
    currency char(3) not null,
    rate_card_id text not null references core.rate_card,
    starts_on date,
    ends_on date
);

create table core.resource (
    resource_id text primary key,
    name text not null,
    role text,
    is_active boolean not null
);

create table core.time_load (
    load_id bigint generated always as identity primary key,
    loaded_at timestamptz not null default clock_timestamp(),
    entries integer not null
);

create table core.time_entry (
    time_entry_id text not null,
    version integer not null check (version > 0),
    load_id bigint not null references core.time_load,
    project_ref text,
    resource_ref text,
    worked_on date,
    minutes integer,
    role text,
    is_billable boolean,
    is_approved boolean,
    notes text,
    modified_at timestamptz not null,
    project_code text,
    resource_id text,
    billed_role text,
    primary key (time_entry_id, version)
);
create index time_entry_by_load on core.time_entry (load_id);
comment on table core.time_entry is
    'Insert-only: every version of every entry, frozen under the load that brought it.';
comment on column core.time_entry.billed_role is 'Role of the entry, else of the person; resolved when loaded.';

create table core.time_entry_head (
    time_entry_id text primary key,
    latest_version integer not null,
    passed_version integer,
    state text not null check (state in ('pending', 'passed', 'held')),
    foreign key (time_entry_id, latest_version) references core.time_entry (time_entry_id, version)
);
create index time_entry_head_open on core.time_entry_head (state) where state <> 'passed';
comment on column core.time_entry_head.passed_version is
    'The version billing may use: the newest that passed its gate. A newer one that is held does not unbill it.';

create view core.time_entry_gate as
select time_entry_id, project_code, resource_id, billed_role, worked_on, minutes,
       case when is_approved and is_billable then 'to bill' when is_approved is null or is_billable is null then null
            else 'not to bill' end as purpose
from core.time_entry where load_id = current_setting('psflow.batch_id')::bigint;
comment on view core.time_entry_gate is 'One load as its gate sees it; the session says which.';

create function core.load_hash(load text) returns text language sql stable
    return (select encode(sha256(convert_to(string_agg(entry::text, e'\n' order by time_entry_id collate "C"), 'UTF8')), 'hex')
            from core.time_entry entry where load_id = load::bigint);
comment on function core.load_hash is 'SHA-256 over a load, in key order; null when it is empty.';

create table core.period (
    legal_entity_id text not null,
    period char(7) not null check (period ~ '^\d{4}-(0[1-9]|1[0-2])$'),
    closed_at timestamptz,
    primary key (legal_entity_id, period)
);

create table core.erp_invoice (
    erp_invoice_id text primary key,
    reference text not null,
    number text,
    state text not null,
    currency char(3) not null,
    untaxed_amount numeric(18, 2) not null,
    total_amount numeric(18, 2) not null,
    erp_move_id text
);
create table core.erp_invoice_line (
    erp_line_id text primary key,
    erp_invoice_id text not null references core.erp_invoice on delete cascade,
    line_key text,
    quantity numeric(18, 4) not null,
    unit_price numeric(18, 8) not null,
    amount numeric(18, 2) not null
);
create table core.erp_ledger_line (
    erp_move_line_id text primary key,
    erp_invoice_id text not null references core.erp_invoice on delete cascade,
    erp_move_id text not null,
    account_kind text not null,
    debit numeric(18, 2) not null,
    credit numeric(18, 2) not null,
    erp_line_id text
);
comment on table core.erp_invoice is 'The ERP''s documents that carry one of our references, as last read.';

-- billing ------------------------------------------------------------------------------------------------------------

create function billing.round_money(amount numeric, currency text) returns numeric
    language sql immutable strict parallel safe
    return round(amount, case when currency in ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF',
        'UGX', 'VND', 'VUV', 'XAF', 'XOF', 'XPF') then 0 when currency in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR',
        'TND') then 3 else 2 end);
comment on function billing.round_money is
    'The one rounding step: half away from zero, to the minor unit of the currency (ISO 4217).';

create table billing.batch (
    batch_id text primary key,
    legal_entity_id text not null,
    period char(7) not null,
    number integer not null,
    invoiced_on date not null,
    state text not null default 'frozen'
        check (state in ('frozen', 'checked', 'submitted', 'approved', 'released', 'posted', 'failed', 'rejected', 'stale')),
    content_hash text,
    frozen_at timestamptz not null default clock_timestamp(),
    unique (legal_entity_id, period, number)
);
create unique index batch_one_open on billing.batch (legal_entity_id)
    where state in ('frozen', 'checked', 'submitted', 'approved', 'released');

create table billing.batch_line (
    batch_id text not null references billing.batch,
    charge_id text not null,
    kind text not null check (kind in ('charge', 'reversal')),
    time_entry_id text not null,
    version integer not null,
    project_code text not null references core.project,
    worked_on date not null,
    role text not null,
    minutes integer not null,
    hourly_rate numeric(18, 4) not null,
    amount numeric(18, 3) not null,
    currency char(3) not null,
    primary key (batch_id, charge_id)
);
comment on table billing.batch_line is
    'Insert-only: what a batch would bill, frozen before its gate looks. A reversal has minutes and amount below zero.';

create table billing.batch_hold (
    batch_id text not null references billing.batch,
    time_entry_id text not null,
    primary key (batch_id, time_entry_id)
);
comment on table billing.batch_hold is
    'Entries the gate held: a reversal and its replacement are held together, or neither.';

create view billing.batch_gate as
select charge_id, kind, time_entry_id, project_code, role, minutes, hourly_rate, amount, currency,
       case when amount = billing.round_money(minutes * hourly_rate / 60, currency) then 'yes' else 'no' end
           as is_rated_right
from billing.batch_line where batch_id = current_setting('psflow.batch_id');
comment on view billing.batch_gate is 'One batch as its gate sees it; the session says which.';

create view billing.batch_content as
select line.* from billing.batch_line line
where not exists (select from billing.batch_hold hold
                  where (hold.batch_id, hold.time_entry_id) = (line.batch_id, line.time_entry_id));

create function billing.content_hash(batch text) returns text language sql stable
    return (select encode(sha256(convert_to(string_agg(
        concat_ws('|', charge_id, kind, time_entry_id, version, project_code, worked_on, role, minutes, hourly_rate,
                  amount, currency), e'\n' order by charge_id collate "C"), 'UTF8')), 'hex')
        from billing.batch_content where batch_id = batch);
comment on function billing.content_hash is 'SHA-256 over what the batch would bill, in key order; null when nothing.';

create table billing.invoice (
    invoice_key text primary key,
    batch_id text not null references billing.batch,
    project_code text not null references core.project,
    legal_entity_id text not null,
    currency char(3) not null,
    invoiced_on date not null,
    amount numeric(18, 3) not null check (amount > 0),
    unique (batch_id, project_code)
);
create table billing.invoice_line (
    line_key text primary key,
    invoice_key text not null references billing.invoice,
    role text not null,
    minutes integer not null,
    hourly_rate numeric(18, 4) not null,
    amount numeric(18, 3) not null
);
create table billing.charge (
    charge_id text primary key,
    batch_id text not null references billing.batch,
    line_key text not null references billing.invoice_line,
    kind text not null check (kind in ('charge', 'reversal')),
    time_entry_id text not null,
    version integer not null,
    project_code text not null references core.project,
    worked_on date not null,
    role text not null,
    minutes integer not null,
    hourly_rate numeric(18, 4) not null,
    amount numeric(18, 3) not null,
    currency char(3) not null,
    reverses text generated always as (case kind when 'reversal' then left(charge_id, -2) end) stored
        references billing.charge,
    foreign key (time_entry_id, version) references core.time_entry,
    foreign key (batch_id, charge_id) references billing.batch_line
);
create unique index charge_once_per_version on billing.charge (time_entry_id, version) where kind = 'charge';
create unique index charge_reversed_once on billing.charge (reverses) where reverses is not null;
create index charge_by_line on billing.charge (line_key);
comment on table billing.charge is 'Append-only: one billed amount from one entry version at one rate. Id of a reversal: the reversed id and ".R".';

create view billing.live_charge as
select charge.* from billing.charge
where kind = 'charge' and not exists (select from billing.charge r where r.reverses = charge.charge_id);

-- ops ----------------------------------------------------------------------------------------------------------------

create table ops.deployment (
    single boolean primary key default true check (single),
    region text not null
);

create table ops.crosswalk (
    kind text not null,
    entity_id text not null,
    system text not null,
    instance text not null,
    external_id text not null,
    primary key (kind, system, instance, external_id),
    unique (kind, entity_id, system, instance)
);

create table ops.watermark (
    system text not null,
    instance text not null,
    stream text not null,
    read_to timestamptz not null,
    primary key (system, instance, stream)
);

create table ops.workflow (
    engagement_id text not null references core.engagement,
    epoch integer not null,
    state text not null check (state in ('won', 'blocked', 'activating', 'active', 'compensated')),
    changed_at timestamptz not null default clock_timestamp(),
    primary key (engagement_id, epoch)
);

create table ops.effect (
    effect_key text primary key,
    system text not null,
    capability text not null,
    engagement_id text,
    batch_id text,
    region text not null,
    payload jsonb not null,
    payload_hash text not null,
    state text not null default 'pending' check (state in ('pending', 'intent', 'done', 'refused', 'dead')),
    attempts integer not null default 0 check (attempts >= 0),
    fence integer not null default 0,
    lease_until timestamptz,
    next_try_at timestamptz not null default clock_timestamp(),
    external_id text,
    last_error text,
    registered_at timestamptz not null default clock_timestamp(),
    settled_at timestamptz,
    check ((state = 'done') = (external_id is not null)),
    check (state <> 'intent' or lease_until is not null)
);
create index effect_open on ops.effect (system, next_try_at) where state in ('pending', 'intent');
create index effect_by_batch on ops.effect (batch_id) where batch_id is not null;

create table ops.exceptions (
    exception_id bigint generated always as identity primary key,
    rule text not null,
    entity text not null,
    record_id text not null,
    field text not null,
    value text,
    message text not null,
    owner_team text not null,
    fix text not null,
    engagement_id text,
    state text not null default 'open' check (state in ('open', 'resolved')),
    opened_at timestamptz not null default clock_timestamp(),
    resolved_at timestamptz
);
create unique index exception_open_once on ops.exceptions (rule, entity, record_id, field) where state = 'open';

create table ops.gate_run (
    gate_id bigint generated always as identity primary key,
    suite text not null,
    batch_id text not null,
    verdict text not null check (verdict in ('passed', 'held', 'failed')),
    content_hash text,
    rows_checked integer,
    rows_held integer,
    checks integer,
    detail text,
    checked_at timestamptz not null default clock_timestamp(),
    check (verdict = 'failed' or (rows_checked > 0 and checks > 0 and content_hash is not null))
);
create index gate_run_by_batch on ops.gate_run (suite, batch_id);

create table ops.approval (
    batch_id text not null references billing.batch,
    step text not null check (step in ('submit', 'approve')),
    decision text not null check (decision in ('approved', 'rejected')),
    person text not null,
    airflow_user text not null,
    run_id text not null,
    content_hash text not null,
    decided_at timestamptz not null default clock_timestamp(),
    primary key (batch_id, step)
);

create table ops.audit (
    audit_id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    actor text not null,
    action text not null,
    subject text not null,
    detail jsonb not null default '{}'
);

-- what must never happen ---------------------------------------------------------------------------------------------

create function ops.guard_approval() returns trigger language plpgsql as $$
begin
    if new.content_hash is distinct from billing.content_hash(new.batch_id) then
        raise exception 'batch % changed: its hash is not the one that was shown', new.batch_id using errcode = 'check_violation';
    end if;
    if new.step = 'approve' and not exists (
        select from ops.approval s where s.batch_id = new.batch_id and s.step = 'submit' and s.decision = 'approved'
                                     and s.content_hash = new.content_hash) then
        raise exception 'batch % was not submitted with this content', new.batch_id using errcode = 'check_violation';
    end if;
    if exists (select from ops.approval s where s.batch_id = new.batch_id and s.step <> new.step and s.person = new.person) then
        raise exception 'person % may not both submit and approve batch %', new.person, new.batch_id using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger guard before insert on ops.approval for each row execute function ops.guard_approval();

create function billing.guard_invoice() returns trigger language plpgsql as $$
declare
    hash text := billing.content_hash(new.batch_id);
begin
    if (select count(*) from ops.approval a where a.batch_id = new.batch_id and a.decision = 'approved' and a.content_hash = hash) < 2 then
        raise exception 'batch % has no approval of its content', new.batch_id using errcode = 'check_violation';
    end if;
    if not exists (select from ops.gate_run g where g.suite = 'billing/batch' and g.batch_id = new.batch_id
                                              and g.verdict <> 'failed' and g.content_hash = hash) then
        raise exception 'batch % has no gate verdict on its content', new.batch_id using errcode = 'check_violation';
    end if;
    if exists (select from core.period p join billing.batch b on (b.legal_entity_id, b.period) = (p.legal_entity_id, p.period)
               where b.batch_id = new.batch_id and p.closed_at is not null) then
        raise exception 'the period of batch % is closed', new.batch_id using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger guard before insert on billing.invoice for each row execute function billing.guard_invoice();

-- finance ------------------------------------------------------------------------------------------------------------

create table finance.invoice_tie_out (
    step text not null,
    record_id text not null,
    engagement_id text,
    project_code text,
    invoice_key text,
    unit text not null,
    left_source text not null,
    left_value numeric(18, 4),
    right_source text not null,
    right_value numeric(18, 4),
    difference numeric(18, 4) generated always as (left_value - right_value) stored,
    status text generated always as (case when left_value = right_value then 'tied' else 'break' end) stored,
    primary key (step, record_id)
);
comment on table finance.invoice_tie_out is
    'Hours to charges to invoice lines to ERP invoice to ERP ledger, record by record; a value that is missing on one side is a break.';

create view finance.invoice as
select invoice.invoice_key, invoice.batch_id, invoice.project_code, project.engagement_id, project.name as project_name,
       customer.name as customer_name, invoice.legal_entity_id, invoice.invoiced_on, invoice.amount, invoice.currency,
       erp.erp_invoice_id, erp.number as erp_number, erp.state as erp_state
from billing.invoice
join core.project using (project_code)
join core.customer using (customer_id)
left join ops.crosswalk document on (document.kind, document.entity_id) = ('invoice', invoice.invoice_key)
left join core.erp_invoice erp on erp.erp_invoice_id = document.external_id;

create view finance.open_exception as
select exception_id, rule, entity, record_id, field, value, message, owner_team, fix, engagement_id, opened_at
from ops.exceptions where state = 'open';

-- who may what -------------------------------------------------------------------------------------------------------

grant usage on schema raw, core, billing, finance, ops to psflow_app;
grant select, insert on all tables in schema raw, core, billing, finance, ops to psflow_app;
grant usage on all sequences in schema core, billing, ops to psflow_app;
grant update on core.customer, core.opportunity, core.opportunity_line, core.engagement, core.rate_card, core.rate,
    core.resource, core.time_entry_head, core.erp_invoice, billing.batch,
    ops.crosswalk, ops.watermark, ops.workflow, ops.effect, ops.exceptions to psflow_app;
grant delete on core.opportunity_line, core.rate, core.erp_invoice, core.erp_invoice_line, core.erp_ledger_line,
    finance.invoice_tie_out to psflow_app;
grant update on finance.invoice_tie_out to psflow_app;
grant usage on schema finance to psflow_finance;
grant select on all tables in schema finance to psflow_finance;
