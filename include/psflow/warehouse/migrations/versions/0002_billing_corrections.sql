-- Billing that survives what a month-end brings.

-- money of every currency --------------------------------------------------------------------------------------------

create function billing.minor_digits(currency text) returns integer
    language sql immutable strict parallel safe
    return case when currency in ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'VND',
        'VUV', 'XAF', 'XOF', 'XPF') then 0 when currency in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 3
        else 2 end;
comment on function billing.minor_digits is 'Digits after the point of a currency (ISO 4217).';

create or replace function billing.round_money(amount numeric, currency text) returns numeric
    language sql immutable strict parallel safe
    return round(amount, billing.minor_digits(currency));

create function billing.money_text(amount numeric, currency text) returns text
    language sql stable strict parallel safe
    return concat(to_char(amount, concat('FM999,999,999,999,990', left('.000', nullif(billing.minor_digits(currency), 0) + 1))),
                  ' ', currency);
comment on function billing.money_text is 'An amount as people read it: 1,234.50 USD, 1,235 JPY, 1,234.500 KWD.';

alter table core.erp_invoice
    alter column untaxed_amount type numeric(18, 3), alter column total_amount type numeric(18, 3);
alter table core.erp_invoice_line alter column amount type numeric(18, 3);
alter table core.erp_ledger_line alter column debit type numeric(18, 3), alter column credit type numeric(18, 3);

-- invoices that count as never made ----------------------------------------------------------------------------------

create table billing.void_invoice (
    invoice_key text primary key references billing.invoice,
    erp_invoice_id text not null,
    voided_at timestamptz not null default clock_timestamp()
);
comment on table billing.void_invoice is
    'Insert-only: invoices whose draft was cancelled in the ERP. They count as never made, and their charges with them.';

create view billing.live_invoice as
select invoice.* from billing.invoice
where not exists (select from billing.void_invoice void where void.invoice_key = invoice.invoice_key);
comment on view billing.live_invoice is 'Invoices that count.';

drop view billing.live_charge;
alter table billing.charge drop column reverses;
alter table billing.charge
    add column issue integer not null
        generated always as (coalesce(substring(charge_id from '~(\d+)$')::integer, 1)) stored,
    add column reverses text
        generated always as (case kind when 'reversal' then regexp_replace(charge_id, '\.R(~\d+)?$', '') end) stored
        references billing.charge;
comment on table billing.charge is
    'Append-only: one billed amount from one entry version at one rate. Id: entry.version; of a reversal: the reversed id and ".R"; "~2" behind either when its first invoice was voided.';
comment on column billing.charge.issue is 'Counts up when the invoice of the one before was voided.';

create view billing.void_charge as
select charge.*
from billing.void_invoice
join billing.invoice using (invoice_key)
join billing.charge using (batch_id, project_code);

create view billing.counted_charge as
select charge.* from billing.charge
where not exists (select from billing.void_invoice join billing.invoice using (invoice_key)
                  where (invoice.batch_id, invoice.project_code) = (charge.batch_id, charge.project_code));
comment on view billing.counted_charge is 'Charges and reversals on invoices that count: their sum is what was billed.';

create view billing.live_charge as
select charge.* from billing.counted_charge charge
where kind = 'charge' and not exists (select from billing.counted_charge r where r.reverses = charge.charge_id);
comment on view billing.live_charge is 'Charges that count and are not reversed.';

drop index billing.charge_once_per_version;
create unique index charge_once_per_version on billing.charge (time_entry_id, version, issue) where kind = 'charge';
create unique index charge_reversed_once on billing.charge (reverses, issue) where reverses is not null;

create function billing.guard_reissue() returns trigger language plpgsql as $$
begin
    if not exists (
        select from billing.void_charge before
        where (before.kind, before.time_entry_id, before.version, before.issue)
                  = (new.kind, new.time_entry_id, new.version, new.issue - 1)
          and before.reverses is not distinct from new.reverses) then
        raise exception 'charge % is billed already, on an invoice that counts', new.charge_id using errcode = 'check_violation';
    end if;
    return null;
end $$;
create trigger guard after insert on billing.charge for each row when (new.issue > 1)
    execute function billing.guard_reissue();

create function billing.guard_void() returns trigger language plpgsql as $$
begin
    if exists (select from ops.effect join billing.invoice using (batch_id)
               where invoice.invoice_key = new.invoice_key and capability = 'post_invoice'
                 and payload ->> 'invoice_key' = new.invoice_key and state in ('intent', 'done')) then
        raise exception 'invoice % is posted, or may be', new.invoice_key using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger guard before insert on billing.void_invoice for each row execute function billing.guard_void();

create or replace view finance.invoice as
select invoice.invoice_key, invoice.batch_id, invoice.project_code, project.engagement_id, project.name as project_name,
       customer.name as customer_name, invoice.legal_entity_id, invoice.invoiced_on, invoice.amount, invoice.currency,
       erp.erp_invoice_id, erp.number as erp_number, erp.state as erp_state
from billing.live_invoice invoice
join core.project using (project_code)
join core.customer using (customer_id)
left join ops.crosswalk document on (document.kind, document.entity_id) = ('invoice', invoice.invoice_key)
left join core.erp_invoice erp on erp.erp_invoice_id = document.external_id;

-- what two people approve --------------------------------------------------------------------------------------------

create or replace function billing.content_hash(batch text) returns text language sql stable
    return (select encode(sha256(convert_to(
                concat_ws('|', head.legal_entity_id, head.period, head.invoiced_on) || e'\n' || content.lines, 'UTF8')), 'hex')
            from billing.batch head
            cross join lateral (
                select string_agg(
                    concat_ws('|', charge_id, kind, time_entry_id, version, project_code, worked_on, role, minutes,
                              hourly_rate, amount, currency), e'\n' order by charge_id collate "C") as lines
                from billing.batch_content line where line.batch_id = head.batch_id) content
            where head.batch_id = batch);
comment on function billing.content_hash is
    'SHA-256 over legal entity, period, invoice date and what the batch would bill, in key order; null when nothing.';

-- their hash is the old one: the next run freezes them anew
update billing.batch set state = 'stale' where state in ('checked', 'submitted', 'approved');

create or replace function billing.guard_invoice() returns trigger language plpgsql as $$
declare
    hash text := billing.content_hash(new.batch_id);
    head billing.batch := (select b from billing.batch b where b.batch_id = new.batch_id);
    closed text;
begin
    if (select count(*) from ops.approval a where a.batch_id = new.batch_id and a.decision = 'approved' and a.content_hash = hash) < 2 then
        raise exception 'batch % has no approval of its content', new.batch_id using errcode = 'check_violation';
    end if;
    if not exists (select from ops.gate_run g where g.suite = 'billing/batch' and g.batch_id = new.batch_id
                                              and g.verdict <> 'failed' and g.content_hash = hash) then
        raise exception 'batch % has no gate verdict on its content', new.batch_id using errcode = 'check_violation';
    end if;
    if (new.legal_entity_id, new.invoiced_on) is distinct from (head.legal_entity_id, head.invoiced_on) then
        raise exception 'invoice % is not of the legal entity and day of its batch', new.invoice_key using errcode = 'check_violation';
    end if;
    select string_agg(period, ', ') into closed from core.period p
    where p.legal_entity_id = new.legal_entity_id and p.closed_at is not null
      and p.period in (head.period, to_char(new.invoiced_on, 'YYYY-MM'));
    if closed is not null then
        raise exception 'period % of % is closed, and batch % bills % on %',
            closed, new.legal_entity_id, new.batch_id, head.period, new.invoiced_on using errcode = 'check_violation';
    end if;
    return new;
end $$;

-- entries that are gone from the PSA ---------------------------------------------------------------------------------

alter table core.time_entry add column is_gone boolean not null default false;
comment on column core.time_entry.is_gone is
    'A version psflow wrote because a complete read of the PSA no longer had the entry: not approved, so not billed.';

-- who may what -------------------------------------------------------------------------------------------------------

grant select, insert on billing.void_invoice to psflow_app;
grant select on billing.live_invoice, billing.void_charge, billing.counted_charge, billing.live_charge to psflow_app;
revoke update on billing.batch from psflow_app;
grant update (state, content_hash) on billing.batch to psflow_app;
