-- Periods that close, and the proof that is signed with them.

-- periods ------------------------------------------------------------------------------------------------------------

alter table core.period
    add column soft_closed_at timestamptz,
    add column changed_at timestamptz,
    add column state text not null generated always as (
        case when closed_at is null and soft_closed_at is null then 'open' when closed_at is null then 'soft_closed'
             when changed_at is null then 'closed' else 'changed' end) stored;
comment on table core.period is
    'Months of our legal entities; one without a row is open. One that is inserted closed was closed before psflow; any other is closed by a signature (ops.close_signature).';
comment on column core.period.soft_closed_at is 'From when on it takes only what two persons decided by name: credits and write-offs.';
comment on column core.period.changed_at is 'When something signed was found to be different: still closed, and to be signed anew.';

create table ops.period_event (
    event_id bigint generated always as identity primary key,
    legal_entity_id text not null,
    period char(7) not null,
    event text not null check (event in ('soft_closed', 'closed', 'changed', 'reopened', 'refused')),
    person text,
    reason text not null check (reason <> ''),
    run_id text,
    at timestamptz not null default clock_timestamp()
);
create index period_event_by_period on ops.period_event (legal_entity_id, period, event_id);
comment on table ops.period_event is 'Insert-only: what became of a period, by whom and why. Person null: psflow found it.';

-- controls -----------------------------------------------------------------------------------------------------------

create table ops.source_read (
    read_id bigint generated always as identity primary key,
    system text not null,
    instance text not null,
    period char(7) not null,
    read_at timestamptz not null default clock_timestamp()
);
create table ops.source_row (
    read_id bigint not null references ops.source_read,
    kind text not null check (kind in ('time', 'expense')),
    record_id text not null,
    project_ref text,
    quantity numeric(18, 4),
    unit text not null,
    primary key (read_id, kind, record_id)
);
comment on table ops.source_read is 'Insert-only: complete reads of what the PSA has of one month, to compare with what landed.';
comment on column ops.source_row.quantity is 'Minutes of a time entry, amount of an expense.';

create table ops.close (
    close_id bigint generated always as identity primary key,
    legal_entity_id text not null,
    period char(7) not null,
    version integer not null check (version > 0),
    run_id text not null,
    prepared_by text,
    as_of timestamptz not null,
    since timestamptz not null,
    unique (legal_entity_id, period, version)
);
comment on table ops.close is 'Insert-only: a version of the controls of a period, as it was shown and signed.';
comment on column ops.close.as_of is 'The cut-off: what arrived later counts in the next open period.';
comment on column ops.close.since is 'The cut-off of the version signed before, else the end of the month: what came in between was late.';

create table ops.close_control (
    close_id bigint not null references ops.close,
    control text not null,
    says text not null,
    query text not null,
    parameters jsonb not null,
    records integer not null,
    sums jsonb not null,
    content_hash text,
    breaks integer not null,
    result text not null generated always as (case when breaks = 0 then 'tied' else 'broken' end) stored,
    primary key (close_id, control)
);
comment on table ops.close_control is 'Insert-only: one control of a version: what was asked, and count, sums and hash of the answer.';
comment on column ops.close_control.sums is 'Unit -> sum: h, records, or a currency; two units are never added.';
comment on column ops.close_control.content_hash is 'SHA-256 over the records in key order; null without records.';

create table ops.close_record (
    close_id bigint not null,
    control text not null,
    record_id text not null,
    unit text not null,
    left_value numeric,
    right_value numeric,
    says text,
    detail jsonb,
    primary key (close_id, control, record_id, unit),
    foreign key (close_id, control) references ops.close_control
);
comment on table ops.close_record is 'Insert-only: the records of a control that break (says why) or that say more than their values.';

create table ops.close_signature (
    close_id bigint primary key references ops.close,
    decision text not null check (decision in ('signed', 'rejected')),
    person text not null,
    airflow_user text not null,
    run_id text not null,
    content_hash text not null,
    reason text not null,
    signed_at timestamptz not null default clock_timestamp()
);
comment on table ops.close_signature is 'Insert-only: who signed a version. A break is signed with the reason for which it is accepted.';

create function ops.sum_text(total numeric, unit text) returns text language sql immutable
    return case when unit ~ '^[A-Z]{3}$' then round(total, billing.minor_digits(unit)) else trim_scale(total) end::text;
comment on function ops.sum_text is 'A sum as it is signed: money in the digits of its currency.';

create function ops.close_hash(number bigint) returns text language sql stable
    return (select encode(sha256(convert_to(
                row(head.legal_entity_id, head.period, head.version)::text || e'\n' || string_agg(
                    row(control, records, sums, control.content_hash, breaks)::text, e'\n' order by control collate "C"),
                'UTF8')), 'hex')
            from ops.close head join ops.close_control control using (close_id)
            where close_id = number group by head.legal_entity_id, head.period, head.version);
comment on function ops.close_hash is 'SHA-256 over the controls of a version, in key order: what is signed.';

-- what must never happen ---------------------------------------------------------------------------------------------

create function core.hold_period(entity text, of_period text) returns text language plpgsql
    security definer set search_path = pg_catalog as $$
declare found text;
begin
    select state into found from core.period
    where (legal_entity_id, period) = (entity, of_period) for share;
    if found is null then
        insert into core.period (legal_entity_id, period) values (entity, of_period) on conflict do nothing;
        select state into found from core.period
        where (legal_entity_id, period) = (entity, of_period) for share;
    end if;
    return found;
end $$;
comment on function core.hold_period is
    'State of a period that cannot be closed until this transaction is over: who closes it waits, or is waited for.';

create function core.refuse_closed(entity text, of_period text, is_correction boolean, what text) returns void
    language plpgsql as $$
declare found text := core.hold_period(entity, of_period);
begin
    if found = 'open' or found = 'soft_closed' and is_correction then
        return;
    end if;
    raise exception 'period % of % is %, and %', of_period, entity,
        case found when 'soft_closed' then 'soft-closed' else 'closed' end, what
        using errcode = 'check_violation', constraint = 'period_lock', schema = 'core', table = 'period';
end $$;

create or replace function billing.guard_accounting() returns trigger language plpgsql as $$
begin
    perform core.refuse_closed(legal_entity_id, month, is_correction, 'the batch has work that counts in it')
    from (select batch.legal_entity_id, to_char(made.accounting_on, 'YYYY-MM') as month,
                 bool_and(made.adjustment_id is not null) as is_correction
          from made join billing.batch using (batch_id)
          where made.accounting_on is not null
          group by 1, 2 order by 1, 2) books;
    return null;
end $$;

create function billing.guard_invoice_period() returns trigger language plpgsql as $$
begin
    perform core.refuse_closed(legal_entity_id, month, is_correction, format('batch %s bills in it', batch_id))
    from (select added.legal_entity_id, added.batch_id, month, bool_and(line.adjustment_id is not null) as is_correction
          from added
          join billing.batch using (batch_id)
          cross join lateral (values (batch.period), (to_char(added.invoiced_on, 'YYYY-MM'))) of_month (month)
          join billing.batch_content line on (line.batch_id, line.project_code) = (added.batch_id, added.project_code)
          group by 1, 2, 3 order by 1, 3) books;
    return null;
end $$;
create trigger guard_period after insert on billing.invoice referencing new table as added
    for each statement execute function billing.guard_invoice_period();

create function billing.entity_of(of_project text) returns text language sql stable
    return (select contract.legal_entity_id from core.project join core.contract using (engagement_id)
            where project_code = of_project);

alter table billing.adjustment add column decided_at timestamptz not null default clock_timestamp();
comment on column billing.adjustment.decided_at is 'When it was written down; decided_on is the day it counts.';

create function billing.guard_adjustment_period() returns trigger language plpgsql as $$
declare entity text := coalesce(
    (select batch.legal_entity_id from billing.charge join billing.batch using (batch_id)
     where charge.entry_key = new.entry_key limit 1),
    (select legal_entity_id from billing.passed_entry where entry_key = new.entry_key limit 1));
begin
    perform core.refuse_closed(entity, to_char(new.decided_on, 'YYYY-MM'), true,
                               format('a %s is decided in it', replace(new.kind, '_', '-')))
    where entity is not null;
    return null;
end $$;
create trigger guard_period after insert on billing.adjustment
    for each row execute function billing.guard_adjustment_period();

create function billing.guard_opening_period() returns trigger language plpgsql as $$
begin
    perform core.refuse_closed(entity, to_char(new.as_of, 'YYYY-MM'), false, 'an opening balance counts in it')
    from (select billing.entity_of(new.project_code) as entity) of_project where entity is not null;
    return null;
end $$;
create trigger guard_period after insert or update on billing.opening_balance
    for each row execute function billing.guard_opening_period();

create function billing.guard_void_period() returns trigger language plpgsql as $$
begin
    perform core.refuse_closed(legal_entity_id, to_char(invoiced_on, 'YYYY-MM'), true,
                               format('invoice %s counts in it', invoice_key))
    from billing.invoice where invoice_key = new.invoice_key;
    return null;
end $$;
create trigger guard_period after insert on billing.void_invoice
    for each row execute function billing.guard_void_period();

create function core.open_work(entity text, of_period text) returns table (what text) language sql stable
    begin atomic
        with batches as (
            select batch_id, batch.state from billing.batch
            where legal_entity_id = entity
              and (period = of_period or to_char(invoiced_on, 'YYYY-MM') = of_period
                   or exists (select from billing.batch_line line where line.batch_id = batch.batch_id
                                                                    and to_char(accounting_on, 'YYYY-MM') = of_period))
        )
        select format('batch %s is %s', batch_id, state) from batches
        where state in ('frozen', 'checked', 'submitted', 'approved', 'released')
        union all
        select format('effect %s is %s', effect_key, case effect.state when 'intent' then 'uncertain' else effect.state end)
        from ops.effect join batches using (batch_id)
        where effect.state in ('pending', 'intent', 'dead')
        order by 1;
    end;
comment on function core.open_work is 'What must end, one way or the other, before a period is closed.';

create function core.guard_period() returns trigger language plpgsql as $$
declare found text;
begin
    if new.closed_at is null then
        if old.closed_at is not null and not exists (
            select from ops.period_event event where event.event = 'reopened' and event.at >= old.closed_at
                and (event.legal_entity_id, event.period) = (new.legal_entity_id, new.period)) then
            raise exception 'period % of % is re-opened by a person, with a reason', new.period, new.legal_entity_id
                using errcode = 'check_violation';
        end if;
        if new.soft_closed_at is null or old.soft_closed_at is not null then
            return new;
        end if;
    elsif old.closed_at is null and not exists (
        select from ops.close head join ops.close_signature signed using (close_id)
        where (head.legal_entity_id, head.period) = (new.legal_entity_id, new.period) and signed.decision = 'signed'
          and head.version = (select max(version) from ops.close newest
                              where (newest.legal_entity_id, newest.period) = (new.legal_entity_id, new.period))
          and not exists (select from ops.period_event event where event.event = 'reopened' and event.at >= signed.signed_at
                          and (event.legal_entity_id, event.period) = (new.legal_entity_id, new.period))) then
        raise exception 'period % of % has no signature on its newest controls', new.period, new.legal_entity_id
            using errcode = 'check_violation';
    elsif old.closed_at is not null then
        return new;
    end if;
    select string_agg(what, '; ') into found from core.open_work(new.legal_entity_id, new.period);
    if found is not null then
        raise exception 'period % of % waits for open work: %', new.period, new.legal_entity_id, found
            using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger guard before update on core.period for each row execute function core.guard_period();

create function ops.guard_signature() returns trigger language plpgsql as $$
declare head ops.close := (select c from ops.close c where c.close_id = new.close_id);
begin
    if new.content_hash is distinct from ops.close_hash(new.close_id) then
        raise exception 'the controls of % % are not what was shown', head.legal_entity_id, head.period
            using errcode = 'check_violation';
    end if;
    if new.person is not distinct from head.prepared_by then
        raise exception 'person % prepared the controls of % % and may not sign them', new.person, head.legal_entity_id,
            head.period using errcode = 'check_violation';
    end if;
    if not exists (select from ops.person_statement said
                   where said.person = new.person and said.until is null and 'close' = any (said.may)
                     and (said.legal_entities is null or head.legal_entity_id = any (said.legal_entities))) then
        raise exception 'person % may not close periods of %: psflow.yaml does not say so', new.person, head.legal_entity_id
            using errcode = 'check_violation';
    end if;
    if new.decision = 'signed' and new.reason = ''
       and exists (select from ops.close_control control where control.close_id = new.close_id and breaks > 0) then
        raise exception 'a control of % % is broken: sign it with the reason for which that is accepted',
            head.legal_entity_id, head.period using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger guard before insert on ops.close_signature for each row execute function ops.guard_signature();

-- what the ERP tells back, and what a customer disputes ----------------------------------------------------------------

alter table core.erp_invoice
    add column to_pay numeric(18, 3),
    add column paid_on date,
    add column read_at timestamptz not null default clock_timestamp();
comment on column core.erp_invoice.to_pay is 'What the customer still owes of total_amount, in the document''s currency; null when the ERP does not say.';
comment on column core.erp_invoice.paid_on is 'Day on which nothing was owed any more.';

-- a document that was posted and is cancelled counts as never made, once it was read back as that
create or replace function billing.guard_void() returns trigger language plpgsql as $$
begin
    if exists (select from ops.effect join billing.invoice using (batch_id)
               where invoice.invoice_key = new.invoice_key and capability = 'post_invoice'
                 and payload ->> 'invoice_key' = new.invoice_key and state in ('intent', 'done'))
       and not exists (select from core.erp_invoice erp
                       where (erp.erp_invoice_id, erp.reference, erp.state) = (new.erp_invoice_id, new.invoice_key, 'cancelled')) then
        raise exception 'invoice % is posted, or may be', new.invoice_key using errcode = 'check_violation';
    end if;
    return new;
end $$;

create table billing.dispute (
    dispute_id bigint generated always as identity primary key,
    invoice_key text not null references billing.invoice,
    line_key text references billing.invoice_line,
    amount numeric(18, 3) not null check (amount > 0),
    currency char(3) not null,
    reason text not null check (reason <> ''),
    owner text not null,
    raised_by text not null,
    raised_at timestamptz not null default clock_timestamp()
);
create index dispute_by_invoice on billing.dispute (invoice_key);
comment on table billing.dispute is
    'Insert-only: what a customer does not accept of an invoice (line null: of all of it). Open until billing.dispute_end says how it ended.';
create table billing.dispute_end (
    dispute_id bigint primary key references billing.dispute,
    outcome text not null check (outcome in ('credited', 'rejected')),
    adjustment_ids bigint[] not null default '{}',
    reason text not null check (reason <> ''),
    decided_by text not null,
    decided_at timestamptz not null default clock_timestamp(),
    check ((outcome = 'credited') = (adjustment_ids <> '{}'))
);
comment on table billing.dispute_end is 'Insert-only: a dispute ends in credits (billing.adjustment) or is rejected.';

create function billing.guard_dispute() returns trigger language plpgsql as $$
declare room numeric := (
    select case when new.line_key is null then invoice.amount else line.amount end - coalesce((
               select sum(dispute.amount) from billing.dispute left join billing.dispute_end using (dispute_id)
               where dispute.invoice_key = new.invoice_key and (new.line_key is null or dispute.line_key = new.line_key)
                 and outcome is null and dispute.dispute_id <> new.dispute_id), 0)
    from billing.live_invoice invoice
    left join billing.invoice_line line on line.line_key = new.line_key and line.invoice_key = invoice.invoice_key
    where invoice.invoice_key = new.invoice_key and invoice.currency = new.currency);
begin
    if room is null or new.amount > room then
        raise exception 'invoice % has % % left to dispute', coalesce(new.line_key, new.invoice_key), coalesce(room, 0),
            new.currency using errcode = 'check_violation';
    end if;
    return null;
end $$;
create trigger guard after insert on billing.dispute for each row execute function billing.guard_dispute();

create or replace view finance.invoice as
select invoice.invoice_key, invoice.batch_id, invoice.project_code, project.engagement_id, project.name as project_name,
       customer.name as customer_name, invoice.legal_entity_id, invoice.invoiced_on, invoice.amount, invoice.currency,
       erp.erp_invoice_id, erp.number as erp_number, erp.state as erp_state, erp.to_pay, erp.paid_on,
       (select sum(dispute.amount) from billing.dispute left join billing.dispute_end using (dispute_id)
        where dispute.invoice_key = invoice.invoice_key and outcome is null) as disputed
from billing.live_invoice invoice
join core.project using (project_code)
join core.customer using (customer_id)
left join ops.crosswalk document on (document.kind, document.entity_id) = ('invoice', invoice.invoice_key)
left join core.erp_invoice erp on erp.erp_invoice_id = document.external_id;

alter table finance.invoice_tie_out
    add column disputed numeric(18, 4),
    add column explained text;
comment on column finance.invoice_tie_out.disputed is 'Part of the invoice that the customer disputes; no difference: it stands in both books. Null: none.';
comment on column finance.invoice_tie_out.explained is 'Why an amount that ties will not be paid as it is; null: nothing to say.';

-- who may what -------------------------------------------------------------------------------------------------------

grant update (closed_at, soft_closed_at, changed_at) on core.period to psflow_app;
grant select, insert on ops.period_event, ops.source_read, ops.source_row, ops.close, ops.close_control, ops.close_record,
    ops.close_signature, billing.dispute, billing.dispute_end to psflow_app;
grant usage on all sequences in schema ops, billing to psflow_app;
