-- Prices by the day and for overtime: a unit or a multiplier on the row, never a changed hour count.

-- what is agreed ------------------------------------------------------------------------------------------------------

alter table core.agreed_rate
    add column day_rate numeric(18, 4) check (day_rate > 0),
    add column hours_per_day numeric(4, 2) check (hours_per_day > 0 and hours_per_day <= 24),
    add column is_overtime boolean not null default false,
    add check (num_nonnulls(day_rate, hours_per_day) <> 1),
    add check (day_rate is null or hourly_rate = round(day_rate / hours_per_day, 4));
comment on column core.agreed_rate.day_rate is 'Price of a day of hours_per_day hours; null: the price is by the hour.';
comment on column core.agreed_rate.hourly_rate is 'Price of one hour; with a day_rate what an hour of it comes to, to show and compare.';
comment on column core.agreed_rate.is_overtime is 'Only for hours that are overtime, where core.overtime has no multiplier.';

create table core.overtime (
    overtime_id bigint generated always as identity primary key,
    contract_id text not null references core.contract,
    valid_from date not null,
    valid_to date check (valid_to >= valid_from),
    per text not null check (per in ('day', 'week')),
    after_minutes integer not null check (after_minutes > 0),
    multiplier numeric(6, 4) check (multiplier > 1)
);
create index overtime_by_contract on core.overtime (contract_id, valid_from);
comment on table core.overtime is
    'Insert-only: from how many hours of one person on one contract on what is more is overtime. The newest row of a day counts, a charge names its own.';
comment on column core.overtime.per is 'day of the work, or its week from Monday to Sunday.';
comment on column core.overtime.multiplier is 'Times the price that the hour has otherwise; null: core.agreed_rate has rows for overtime.';

-- what is frozen on a charge ------------------------------------------------------------------------------------------

do $$ declare ledger text;
begin
    foreach ledger in array array['batch_line', 'charge'] loop
        execute format($f$
            alter table billing.%I
                add column day_rate numeric(18, 4),
                add column hours_per_day numeric(4, 2),
                add column overtime_id bigint references core.overtime,
                add check (num_nonnulls(day_rate, hours_per_day) <> 1)
        $f$, ledger);
        execute format('comment on column billing.%I.day_rate is %L', ledger,
            'Price of a day of hours_per_day hours, where it was agreed by the day; hourly_rate is what an hour of it comes to.');
        execute format('comment on column billing.%I.overtime_id is %L', ledger,
            'What was agreed on overtime when it was billed, reached or not; null: nothing.');
        execute format('comment on column billing.%I.component is %L', ledger,
            'Which part of the entry: work, overtime, or the kind of a contract''s item.');
        execute format('comment on column billing.%I.entry_minutes is %L', ledger,
            'Minutes worked of that part of the entry, when it was billed.');
    end loop;
end $$;
comment on table billing.charge is
    'Append-only: one billed amount from one version of a time entry at its rate, an expense, or a contract''s item. Id: entry_key.version, "/overtime" behind it for that part, "/2" from the second on; of a reversal: the reversed id and ".R"; "~2" behind either when its first invoice was voided.';

alter table billing.invoice_line
    add column day_rate numeric(18, 4),
    add column hours_per_day numeric(4, 2),
    add column is_overtime boolean not null default false,
    add check (num_nonnulls(day_rate, hours_per_day) <> 1);
comment on column billing.invoice_line.day_rate is 'Price of a day of hours_per_day hours; the line counts in days then. Null: it counts in hours.';

alter table billing.adjustment add column component text not null default 'work';
comment on column billing.adjustment.component is 'Which part of the entry; a decision about two parts is a row each.';
update billing.adjustment set component = kind_of.kind
from (select distinct contract_id, term_id, kind from core.contract_term) kind_of
where starts_with(entry_key, 'item:' || contract_id || ':' || term_id || ':');

create function billing.worth(minutes numeric, hourly_rate numeric, day_rate numeric, hours_per_day numeric) returns numeric
    language sql immutable parallel safe
    return case when day_rate is null then minutes * hourly_rate / 60 else minutes * day_rate / (60 * hours_per_day) end;
comment on function billing.worth is 'What minutes come to at a price by the hour or by the day, before it is rounded.';

create function billing.minutes_worth(amount numeric, hourly_rate numeric, day_rate numeric, hours_per_day numeric)
    returns numeric language sql immutable parallel safe
    return round(case when day_rate is null then amount * 60 / hourly_rate else amount * 60 * hours_per_day / day_rate end, 6);
comment on function billing.minutes_worth is 'How many minutes an amount pays for: billing.worth the other way round.';

-- the views of the ledger take its new columns -------------------------------------------------------------------------

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

create or replace view billing.batch_gate as
select line.charge_id, line.kind, line.time_entry_id, line.project_code, line.role, line.minutes, line.hourly_rate,
       line.amount, line.currency,
       case when line.source <> 'time' then null
            when line.amount = billing.round_money(
                billing.worth(coalesce(line.billed_minutes, line.minutes), line.hourly_rate, line.day_rate, line.hours_per_day),
                line.currency) then 'yes'
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

-- a line by the hour and without overtime reads as it did: what waits for people keeps its hash
create or replace function billing.content_hash(batch text) returns text language sql stable
    return (select encode(sha256(convert_to(
                concat_ws('|', head.legal_entity_id, head.period, head.invoiced_on) || e'\n' || content.lines, 'UTF8')), 'hex')
            from billing.batch head
            cross join lateral (
                select string_agg(
                    row(charge_id, kind, entry_key, version, project_code, worked_on, role, minutes, hourly_rate, category,
                        cost, cost_currency, fx_rate, amount, currency, component, seq, billed_minutes, rate_id,
                        billable_cost, markup_pct, terms_version, adjustment_id, accounting_on)::text
                    || coalesce('|' || order_id, '') || coalesce('|' || day_rate || ' a day of ' || hours_per_day, '')
                    || coalesce('|overtime ' || overtime_id, ''),
                    e'\n' order by charge_id collate "C") as lines
                from billing.batch_content line where line.batch_id = head.batch_id) content
            where head.batch_id = batch);

-- who may what -------------------------------------------------------------------------------------------------------

grant select, insert on core.overtime to psflow_app;
grant usage on all sequences in schema core to psflow_app;
