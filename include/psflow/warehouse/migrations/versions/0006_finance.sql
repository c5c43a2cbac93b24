-- Finance: legal entities, published metrics, what each check of a gate said, and who reads it.
-- The views themselves are warehouse/metrics/*.sql: they are made again after the last step of every migration.

do $$ begin
    if not exists (select from pg_roles where rolname = 'psflow_pmo') then
        create role psflow_pmo nologin;
    end if;
exception
    when duplicate_object or unique_violation then null;
    when insufficient_privilege then
        raise exception 'the role psflow_pmo is missing and % may not make it: as a superuser run CREATE ROLE psflow_pmo NOLOGIN, then migrate again', current_user
            using errcode = 'insufficient_privilege';
end $$;

-- core: what the views need to know ----------------------------------------------------------------------------------

create table core.legal_entity (
    legal_entity_id text primary key,
    name text not null,
    currency char(3) not null,
    billing_starts_on date
);
comment on table core.legal_entity is 'The companies of psflow.yaml, for SQL to read. Owner: configuration.';
comment on column core.legal_entity.billing_starts_on is 'Work before this day was billed elsewhere; null: all of it is ours.';

-- readers of finance.utilization_weekly may not read core
alter function core.capacity(date, date) security definer set search_path = pg_catalog;

-- published metrics --------------------------------------------------------------------------------------------------

create table finance.snapshot (
    snapshot_id bigint generated always as identity primary key,
    as_of date not null,
    taken_at timestamptz not null default clock_timestamp()
);
comment on table finance.snapshot is 'Insert-only: when the metrics were frozen because one of them had changed.';
comment on column finance.snapshot.as_of is 'The day it is published for.';
create table finance.metric_snapshot (
    snapshot_id bigint not null references finance.snapshot,
    metric text not null,
    grain text not null,
    value numeric,
    unit text,
    unique nulls not distinct (snapshot_id, metric, grain, unit)
);
comment on table finance.metric_snapshot is
    'Insert-only: finance.metric as it was; finance.metric_published shows those that passed their gate.';

create function finance.snapshot_hash(snapshot text) returns text language sql stable
    return (select encode(sha256(convert_to(string_agg(concat_ws('|', metric, grain, value, unit), e'\n'
                                                       order by metric collate "C", grain collate "C", unit), 'UTF8')), 'hex')
            from finance.metric_snapshot where snapshot_id = snapshot::bigint);
comment on function finance.snapshot_hash is 'SHA-256 over a snapshot, in key order; null when it is empty.';

-- what gates see -----------------------------------------------------------------------------------------------------

create view finance.metric_gate as
select metric || ' ' || grain as metric_key, metric, split_part(metric, '.', 1) as kind, value, unit
from finance.metric_snapshot where snapshot_id = current_setting('psflow.batch_id')::bigint;
comment on view finance.metric_gate is 'One snapshot as its gate sees it; the session says which.';

create or replace view core.time_entry_gate as
select entry.time_entry_id, entry.project_code, entry.resource_id, entry.billed_role, entry.worked_on, entry.minutes,
       case when entry.is_approved and entry.is_billable then 'to bill'
            when entry.is_approved is null or entry.is_billable is null then null
            else 'not to bill' end as purpose
from core.time_entry entry
where entry.load_id = current_setting('psflow.batch_id')::bigint
  -- an entry that was corrected meanwhile is judged with the load that brought the correction
  and not exists (select from core.time_entry_head head
                  where head.time_entry_id = entry.time_entry_id and head.latest_version > entry.version);

create view core.expense_entry_gate as
select entry.expense_entry_id, entry.project_code, entry.resource_id, entry.spent_on, entry.category, entry.amount,
       entry.currency, entry.has_receipt,
       case when entry.is_approved and entry.is_billable then 'to bill'
            when entry.is_approved is null or entry.is_billable is null then null
            else 'not to bill' end as purpose
from core.expense_entry entry
where entry.load_id = current_setting('psflow.batch_id')::bigint
  and not exists (select from core.expense_entry_head head
                  where head.expense_entry_id = entry.expense_entry_id and head.latest_version > entry.version);
comment on view core.expense_entry_gate is 'One load of expenses as its gate sees it; the session says which.';

create view core.resource_gate as
select person.resource_id, case when person.is_active then 'yes' else 'no' end as is_active, person.role, person.region,
       person.work_email,
       case when person.employed_to < person.employed_from then 'no' else 'yes' end as is_in_order,
       case when exists (select from core.work_pattern where work_pattern.resource_id = person.resource_id)
            then 'known' end as capacity,
       case when exists (select from core.cost_rate where cost_rate.resource_id = person.resource_id)
            then 'known' end as cost
from core.resource person;
comment on view core.resource_gate is 'People as their gate sees them.';

create view core.rate_card_gate as
select concat_ws(' ', card.rate_card_id, rate.role, rate.valid_from) as rate_id, card.rate_card_id, card.name,
       card.currency, rate.role, rate.hourly_rate,
       case when rate.valid_to < rate.valid_from then 'no' else 'yes' end as is_in_order,
       case when lead(rate.valid_from) over earlier > rate.valid_to + 1 then 'no' else 'yes' end as is_without_gap
from core.rate_card card
left join core.rate using (rate_card_id)
window earlier as (partition by rate.rate_card_id, rate.role order by rate.valid_from);
comment on view core.rate_card_gate is 'Each price of each rate card as its gate sees it; a card without a price is one row.';

create or replace view billing.batch_gate as
select line.charge_id, line.kind, line.time_entry_id, line.project_code, line.role, line.minutes, line.hourly_rate,
       line.amount, line.currency,
       case when line.amount = billing.round_money(line.minutes * line.hourly_rate / 60, line.currency) then 'yes'
            else 'no' end as is_rated_right,
       case when line.currency = contract.currency then 'yes' else 'no' end as is_contract_currency
from billing.batch_line line
left join core.project using (project_code)
left join core.contract using (engagement_id)
where line.batch_id = current_setting('psflow.batch_id');

create view billing.charge_gate as
select charge.charge_id, charge.kind, charge.project_code, charge.amount, charge.currency,
       case when charge.currency = invoice.currency and charge.project_code = invoice.project_code then 'yes' else 'no' end
           as is_on_its_invoice,
       case when line.amount = sum(charge.amount) over (partition by charge.line_key) then 'yes' else 'no' end as is_line_whole,
       case when charge.kind = 'charge' then 'yes'
            when charge.amount = -reversed.amount and charge.currency = reversed.currency then 'yes' else 'no' end
           as is_reversed_right
from billing.counted_charge charge
join billing.invoice_line line using (line_key)
join billing.live_invoice invoice using (invoice_key)
left join billing.charge reversed on reversed.charge_id = charge.reverses;
comment on view billing.charge_gate is 'The ledger of charges as its gate sees it, before metrics are published.';

create function ops.content_hash(content regclass) returns text language plpgsql stable as $$
declare hash text;
begin
    execute format('select encode(sha256(convert_to(string_agg(line, e''\n'' order by line collate "C"), ''UTF8'')), ''hex'') '
                   'from (select content::text as line from %s content) lines', content) into hash;
    return hash;
end $$;
comment on function ops.content_hash is 'SHA-256 over all rows of a table or view, in their own order; null when it is empty.';

-- what each check said -----------------------------------------------------------------------------------------------

create table ops.gate_check (
    gate_id bigint not null references ops.gate_run,
    rule text not null,
    expectation text not null,
    field text not null,
    says text not null,
    on_fail text not null check (on_fail in ('hold_row', 'stop_batch', 'note')),
    outcome text not null check (outcome in ('ok', 'held', 'noted', 'failed')),
    failing_rows integer not null check (failing_rows >= 0),
    primary key (gate_id, rule)
);
comment on table ops.gate_check is
    'Insert-only: each check of each verdict; the rows behind failing_rows are in ops.gate_failure.';
comment on column ops.gate_check.field is 'Column the check is about; empty when it is about the batch.';
comment on column ops.gate_check.failing_rows is 'Rows that broke the rule; 0 with outcome failed: the batch as a whole did.';

-- what finance reads says what it is ---------------------------------------------------------------------------------

comment on column finance.invoice_tie_out.step is 'Which comparison, in the order of the money.';
comment on column finance.invoice_tie_out.record_id is 'The record that is compared.';
comment on column finance.invoice_tie_out.engagement_id is 'The won deal.';
comment on column finance.invoice_tie_out.project_code is 'The project.';
comment on column finance.invoice_tie_out.invoice_key is 'Our reference on the invoice.';
comment on column finance.invoice_tie_out.unit is 'Unit of both values: h, or a currency.';
comment on column finance.invoice_tie_out.left_source is 'Where the left value comes from.';
comment on column finance.invoice_tie_out.left_value is 'Value on the left, in unit; null: not there.';
comment on column finance.invoice_tie_out.right_source is 'Where the right value comes from.';
comment on column finance.invoice_tie_out.right_value is 'Value on the right, in unit; null: not there.';
comment on column finance.invoice_tie_out.difference is 'Left less right, in unit; null when one is not there.';
comment on column finance.invoice_tie_out.status is 'tied when both are equal; break, or null when one is not there, when they do not tie.';

-- who may what -------------------------------------------------------------------------------------------------------

grant select, insert, update on core.legal_entity to psflow_app;
grant select on finance.metric_gate, core.time_entry_gate, core.expense_entry_gate, core.resource_gate,
    core.rate_card_gate, billing.charge_gate to psflow_app;
grant select, insert on finance.snapshot, finance.metric_snapshot, ops.gate_check to psflow_app;
alter default privileges in schema finance grant select on tables to psflow_app, psflow_finance, psflow_pmo;
grant select on finance.snapshot, finance.metric_snapshot to psflow_finance;
grant usage on schema finance, ops to psflow_pmo;
grant select on all tables in schema finance to psflow_pmo;
grant select on ops.workflow_state, ops.stream_lag, ops.effect_queue, ops.gate_run, ops.gate_check to psflow_pmo;
