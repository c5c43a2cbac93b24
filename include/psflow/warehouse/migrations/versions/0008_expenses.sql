-- Expenses billed at cost: in the same ledger, batches and difference as hours.

-- expenses are judged, and gone from the PSA, as time entries are -----------------------------------------------------

alter table core.expense_entry add column is_gone boolean not null default false;
comment on column core.expense_entry.is_gone is
    'A version psflow wrote because a complete read of the PSA no longer had the expense: not approved, so not billed.';
create index expense_entry_head_open on core.expense_entry_head (state) where state <> 'passed';
comment on column core.expense_entry_head.passed_version is
    'The version billing may use: the newest that passed its gate. A newer one that is held does not unbill it.';

create or replace function core.load_hash(load text) returns text language sql stable
    return (select encode(sha256(convert_to(string_agg(content, e'\n' order by entry_id collate "C"), 'UTF8')), 'hex')
            from (select time_entry_id as entry_id, entry::text as content
                  from core.time_entry entry where load_id = load::bigint
                  union all
                  select expense_entry_id, entry::text
                  from core.expense_entry entry where load_id = load::bigint) entries);

create view billing.passed_entry as
select entry.*, project.engagement_id, contract.legal_entity_id, contract.rate_card_id, contract.currency
from (
    select 'time' as source, time_entry_id as entry_key, time_entry_id, null::text as expense_entry_id, version, load_id,
           project_code, worked_on, billed_role as role, minutes, null::text as category, null::numeric as cost,
           null::char(3) as cost_currency, is_approved and is_billable and minutes <> 0 as is_to_bill
    from core.time_entry_head
    join core.time_entry using (time_entry_id)
    where version = passed_version
    union all
    select 'expense', 'expense:' || expense_entry_id, null, expense_entry_id, version, load_id, project_code, spent_on, null,
           null, coalesce(nullif(trim(category), ''), 'other'), amount, currency::char(3),
           is_approved and is_billable and amount <> 0
    from core.expense_entry_head
    join core.expense_entry using (expense_entry_id)
    where version = passed_version
) entry
join core.project on project.project_code = entry.project_code
join core.contract on contract.engagement_id = project.engagement_id;
comment on view billing.passed_entry is
    'Hours and expenses on our projects, in the version that passed its gate: what billing may use.';
grant select on billing.passed_entry to psflow_app;

-- one ledger for both ------------------------------------------------------------------------------------------------

alter table billing.batch_line
    alter column time_entry_id drop not null, alter column role drop not null, alter column minutes drop not null,
    alter column hourly_rate drop not null,
    add column expense_entry_id text,
    add column category text,
    add column cost numeric(18, 4),
    add column cost_currency char(3),
    add column fx_rate numeric(18, 8),
    add column source text not null
        generated always as (case when expense_entry_id is null then 'time' else 'expense' end) stored,
    add column entry_key text not null
        generated always as (coalesce(time_entry_id, 'expense:' || expense_entry_id)) stored,
    add constraint batch_line_of_time check (
        num_nonnulls(time_entry_id, role, minutes, hourly_rate) = case when expense_entry_id is null then 4 else 0 end),
    add constraint batch_line_of_expense check (
        num_nonnulls(expense_entry_id, category, cost, cost_currency, fx_rate)
            = case when expense_entry_id is null then 0 else 5 end);
comment on column billing.batch_line.entry_key is 'What is billed: a time entry by its id, an expense by "expense:" and its id.';
comment on column billing.batch_line.cost is 'What was paid, in cost_currency; amount is cost x fx_rate, rounded once.';
comment on column billing.batch_line.fx_rate is 'Units of currency for one of cost_currency on the day of the expense; 1 when they are the same.';

alter table billing.charge
    alter column time_entry_id drop not null, alter column role drop not null, alter column minutes drop not null,
    alter column hourly_rate drop not null,
    add column expense_entry_id text,
    add column category text,
    add column cost numeric(18, 4),
    add column cost_currency char(3),
    add column fx_rate numeric(18, 8),
    add column source text not null
        generated always as (case when expense_entry_id is null then 'time' else 'expense' end) stored,
    add column entry_key text not null
        generated always as (coalesce(time_entry_id, 'expense:' || expense_entry_id)) stored,
    add constraint charge_of_time check (
        num_nonnulls(time_entry_id, role, minutes, hourly_rate) = case when expense_entry_id is null then 4 else 0 end),
    add constraint charge_of_expense check (
        num_nonnulls(expense_entry_id, category, cost, cost_currency, fx_rate)
            = case when expense_entry_id is null then 0 else 5 end),
    add foreign key (expense_entry_id, version) references core.expense_entry;
comment on table billing.charge is
    'Append-only: one billed amount from one version of a time entry at its rate, or of an expense at cost. Id: entry_key.version; of a reversal: the reversed id and ".R"; "~2" behind either when its first invoice was voided.';

drop index billing.charge_once_per_version;
create unique index charge_once_per_version on billing.charge (entry_key, version, issue) where kind = 'charge';

alter table billing.invoice_line
    alter column role drop not null, alter column minutes drop not null, alter column hourly_rate drop not null,
    add column category text,
    add constraint invoice_line_of_either check (
        num_nonnulls(role, minutes, hourly_rate) = case when category is null then 3 else 0 end);
comment on column billing.invoice_line.category is 'Of expenses, which are one line a category; null on a line of hours.';

alter table billing.batch_hold rename column time_entry_id to entry_key;

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
        where (before.kind, before.entry_key, before.version, before.issue)
                  = (new.kind, new.entry_key, new.version, new.issue - 1)
          and before.reverses is not distinct from new.reverses) then
        raise exception 'charge % is billed already, on an invoice that counts', new.charge_id using errcode = 'check_violation';
    end if;
    return null;
end $$;

-- what the gate sees and two people approve --------------------------------------------------------------------------

create or replace view billing.batch_gate as
select line.charge_id, line.kind, line.time_entry_id, line.project_code, line.role, line.minutes, line.hourly_rate,
       line.amount, line.currency,
       case when line.source = 'expense' then null
            when line.amount = billing.round_money(line.minutes * line.hourly_rate / 60, line.currency) then 'yes'
            else 'no' end as is_rated_right,
       case when line.currency = contract.currency then 'yes' else 'no' end as is_contract_currency,
       line.entry_key, line.category, line.cost, line.cost_currency, line.fx_rate,
       case when line.source = 'time' then null
            when line.amount = billing.round_money(line.cost * line.fx_rate, line.currency)
                 and (line.cost_currency <> line.currency or line.fx_rate = 1) then 'yes'
            else 'no' end as is_at_cost
from billing.batch_line line
left join core.project using (project_code)
left join core.contract using (engagement_id)
where line.batch_id = current_setting('psflow.batch_id');

-- rows as text: absent is not empty, and no text can stand for two columns
create or replace function billing.content_hash(batch text) returns text language sql stable
    return (select encode(sha256(convert_to(
                concat_ws('|', head.legal_entity_id, head.period, head.invoiced_on) || e'\n' || content.lines, 'UTF8')), 'hex')
            from billing.batch head
            cross join lateral (
                select string_agg(
                    row(charge_id, kind, entry_key, version, project_code, worked_on, role, minutes, hourly_rate, category,
                        cost, cost_currency, fx_rate, amount, currency)::text, e'\n' order by charge_id collate "C") as lines
                from billing.batch_content line where line.batch_id = head.batch_id) content
            where head.batch_id = batch);

-- their hash is the old one: the next run freezes them anew
update billing.batch set state = 'stale' where state in ('checked', 'submitted', 'approved');
