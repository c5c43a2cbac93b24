-- Split billing: several customers pay for one engagement; the parts of each charge add up to it, to the cent.

-- what is agreed ------------------------------------------------------------------------------------------------------

create table core.split (
    split_id bigint generated always as identity primary key,
    contract_id text not null references core.contract,
    valid_from date not null,
    agreed_on date not null,
    reason text not null check (reason <> '')
);
create index split_by_contract on core.split (contract_id, valid_from);
comment on table core.split is
    'Insert-only: who pays for a contract from a day of the work on. The newest row of a day counts, a charge names its own.';

create table core.split_share (
    split_id bigint not null references core.split,
    payer_id text not null references core.customer,
    share_pct numeric(7, 4) not null check (share_pct > 0 and share_pct <= 100),
    takes_residue boolean not null,
    primary key (split_id, payer_id)
);
comment on table core.split_share is 'Insert-only: the payers of a split; their shares come to 100.';
comment on column core.split_share.payer_id is 'The customer who pays; the project''s own or another.';
comment on column core.split_share.takes_residue is 'The one whose part is not rounded: what the others leave.';

create function core.guard_split() returns trigger language plpgsql as $$
declare found text;
begin
    select string_agg(split_id::text, ', ' order by split_id) into found
    from (select split_id from core.split_share where split_id in (select split_id from added)
          group by split_id having sum(share_pct) <> 100 or count(*) filter (where takes_residue) <> 1) wrong;
    if found is not null then
        raise exception 'split % is not 100 percent with one payer who takes the residue', found using errcode = 'check_violation';
    end if;
    return null;
end $$;
create trigger guard_split after insert on core.split_share referencing new table as added
    for each statement execute function core.guard_split();

create function billing.shares_text(split bigint) returns text language sql stable
    return (select string_agg(name || ' ' || trim_scale(share_pct) || ' %' || case when takes_residue then ' and the residue' else '' end,
                              ', ' order by takes_residue desc, share_pct desc, name)
            from core.split_share join core.customer on customer_id = payer_id where split_id = split);
comment on function billing.shares_text is 'Who pays how much by a split, in words.';

-- the ledger says who pays -----------------------------------------------------------------------------------------------

do $$ declare ledger text;
begin
    foreach ledger in array array['batch_line', 'charge'] loop
        execute format($f$
            alter table billing.%I
                add column payer_id text,
                add column split_id bigint,
                add check (payer_id is null or split_id is not null)
        $f$, ledger);
        execute format('comment on column billing.%I.payer_id is %L', ledger,
            'Customer who pays it, where that is another than the project''s; null: the project''s own.');
        execute format('comment on column billing.%I.split_id is %L', ledger,
            'What was agreed on its payers when it was billed; null: nothing, the project''s customer pays all of it.');
        execute format('comment on column billing.%I.seq is %L', ledger,
            'Counts the charges of one version of one entry: payers, a cap or a credit may split it.');
    end loop;
end $$;
-- each names one that its guard looks up, and a charge is of a frozen line: a foreign key would look again, row by row

alter table billing.invoice
    add column payer_id text references core.customer,
    drop constraint invoice_batch_id_project_code_key,
    add constraint invoice_once unique nulls not distinct (batch_id, project_code, payer_id);
comment on column billing.invoice.payer_id is 'Customer whom it is for, where that is another than the project''s; null: the project''s own.';

alter table billing.adjustment
    add column payer_id text references core.customer,
    add check (payer_id is null or kind = 'credit');
comment on column billing.adjustment.payer_id is 'Payer whose part alone is credited; null: all of the entry, each payer''s by its share.';

-- it says which tax, too (0023), so that its views and what people approve are defined once -------------------------------------

do $$ declare ledger text;
begin  -- a line of a document refers to its tax; a row of the ledger is part of one, and a foreign key a row costs as much as the row
    foreach ledger in array array['batch_line', 'charge', 'invoice_line'] loop
        execute format('alter table billing.%I add column tax_id bigint', ledger);
        execute format('comment on column billing.%I.tax_id is %L', ledger,
            'Tax it takes; of a reversal that of what it reverses. Null: billed before taxes were kept, or none fits yet.');
    end loop;
end $$;

alter table billing.invoice
    add column tax_amount numeric(18, 3),
    add column gross_amount numeric(18, 3) generated always as (amount + tax_amount) stored;
comment on column billing.invoice.amount is 'Without tax.';
comment on column billing.invoice.tax_amount is 'Sum of its taxes; null: from before taxes were kept.';

-- the views of the ledger take its new columns, and ask for the invoice of a charge's line ---------------------------------------

create or replace view billing.batch_content as
select line.* from billing.batch_line line
where not exists (select from billing.batch_hold hold
                  where (hold.batch_id, hold.entry_key) = (line.batch_id, line.entry_key));

create or replace view billing.void_charge as
select charge.*
from billing.void_invoice
join billing.invoice_line using (invoice_key)
join billing.charge using (line_key);

create or replace view billing.counted_charge as
select charge.* from billing.charge
where not exists (select from billing.void_invoice join billing.invoice_line line using (invoice_key)
                  where line.line_key = charge.line_key);

create or replace view billing.live_charge as
select charge.* from billing.counted_charge charge
where kind = 'charge' and not exists (select from billing.counted_charge r where r.reverses = charge.charge_id);

create or replace view billing.live_invoice as
select invoice.* from billing.invoice
where not exists (select from billing.void_invoice void where void.invoice_key = invoice.invoice_key);

create or replace view billing.charge_gate as
select charge.charge_id, charge.kind, charge.project_code, charge.amount, charge.currency,
       case when charge.currency = invoice.currency and charge.project_code = invoice.project_code
                 and charge.payer_id is not distinct from invoice.payer_id then 'yes' else 'no' end as is_on_its_invoice,
       case when line.amount = sum(charge.amount) over (partition by charge.line_key) then 'yes' else 'no' end as is_line_whole,
       case when charge.kind = 'charge' then 'yes'
            when charge.amount = -reversed.amount and charge.currency = reversed.currency
                 and charge.payer_id is not distinct from reversed.payer_id then 'yes' else 'no' end
           as is_reversed_right
from billing.counted_charge charge
join billing.invoice_line line using (line_key)
join billing.live_invoice invoice using (invoice_key)
left join billing.charge reversed on reversed.charge_id = charge.reverses;

create function billing.is_worth(amount numeric, worth numeric, currency text) returns boolean
    language sql immutable parallel safe
    return abs(amount - worth) <= 0.51 * 10::numeric ^ -billing.minor_digits(currency);
comment on function billing.is_worth is
    'Whether an amount is a rounding of what minutes come to; of a payer''s minutes, which have six digits.';

create or replace view billing.batch_gate as
select line.charge_id, line.kind, line.time_entry_id, line.project_code, line.role, line.minutes, line.hourly_rate,
       line.amount, line.currency,
       case when line.source <> 'time' then null
            when line.amount = billing.round_money(worth.amount, line.currency) then 'yes'
            when line.split_id is not null and billing.is_worth(line.amount, worth.amount, line.currency) then 'yes'
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
cross join lateral (
    select billing.worth(coalesce(line.billed_minutes, line.minutes), line.hourly_rate, line.day_rate, line.hours_per_day)
        as amount) worth
left join core.project using (project_code)
left join core.contract using (engagement_id)
where line.batch_id = current_setting('psflow.batch_id');

create or replace view finance.invoice as
select invoice.invoice_key, invoice.batch_id, invoice.project_code, project.engagement_id, project.name as project_name,
       customer.name as customer_name, invoice.legal_entity_id, invoice.invoiced_on, invoice.amount, invoice.currency,
       erp.erp_invoice_id, erp.number as erp_number, erp.state as erp_state, erp.to_pay, erp.paid_on,
       (select sum(dispute.amount) from billing.dispute left join billing.dispute_end using (dispute_id)
        where dispute.invoice_key = invoice.invoice_key and outcome is null) as disputed
from billing.live_invoice invoice
join core.project using (project_code)
join core.customer on customer.customer_id = coalesce(invoice.payer_id, project.customer_id)
left join ops.crosswalk document on (document.kind, document.entity_id) = ('invoice', invoice.invoice_key)
left join core.erp_invoice erp on erp.erp_invoice_id = document.external_id;

-- what people approve: a line that one customer pays, and one without a tax, reads as it did and keeps its hash --------------------------

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
                    || coalesce('|overtime ' || overtime_id, '')
                    || coalesce('|split ' || split_id || ' ' || coalesce(payer_id, 'own'), '') || coalesce('|tax ' || tax_id, ''),
                    e'\n' order by charge_id collate "C") as lines
                from billing.batch_content line where line.batch_id = head.batch_id) content
            where head.batch_id = batch);

create or replace function billing.approvers_needed(batch text) returns integer language sql stable
    return case when exists (
        select
        from (select said.second_approver_above as above from ops.approval_limit said order by statement_id desc limit 1) newest
        cross join (
            select currency, sum(abs(amount)) as amount
            from (select project_code, payer_id, currency, sum(amount) as amount from billing.batch_content
                  where batch_id = batch group by project_code, payer_id, currency) invoice
            group by currency) total
        where above <> '{}' and coalesce(amount > (above ->> currency::text)::numeric, true)
    ) then 2 else 1 end;

create or replace function billing.guard_plan() returns trigger language plpgsql as $$
declare
    batch text;
    shown billing.plan;
    found text;
begin
    for batch in select distinct batch_id from added loop
        shown := (select p from billing.plan p where p.batch_id = batch);
        if (select count(distinct a.person) from ops.approval a
            where a.batch_id = batch and a.step = 'approve' and a.decision = 'approved'
              and a.plan_hash = billing.plan_hash(shown.content_hash, shown.plan)) < billing.approvers_needed(batch) then
            raise exception 'batch % needs % approvers of its plan', batch, billing.approvers_needed(batch)
                using errcode = 'check_violation';
        end if;
        select string_agg(coalesce(made.invoice_key, planned.invoice_key), ', ') into found
        from (select * from added where added.batch_id = batch) made
        full join json_to_recordset(shown.plan -> 'invoices')
            as planned (invoice_key text, project_code text, payer_id text, currency text, amount numeric) using (invoice_key)
        where (made.project_code, made.payer_id, made.currency::text, made.amount)
              is distinct from (planned.project_code, planned.payer_id, planned.currency, planned.amount);
        if found is not null then
            raise exception 'batch % would make other invoices than its plan says: %', batch, found using errcode = 'check_violation';
        end if;
    end loop;
    return null;
end $$;

-- what must never happen -----------------------------------------------------------------------------------------------

create function billing.guard_split() returns trigger language plpgsql as $$
declare found text;
begin
    if not exists (select from made where split_id is not null) then
        return null;
    end if;
    select string_agg(charge_id, ', ' order by charge_id) into found
    from made join core.project using (project_code)
    where split_id is not null
      and not exists (select from core.split_share share
                      where share.split_id = made.split_id and share.payer_id = coalesce(made.payer_id, project.customer_id));
    if found is not null then
        raise exception 'charge % is of nobody who agreed to pay', found using errcode = 'check_violation';
    end if;
    select string_agg(distinct entry_key, ', ') into found
    from (  -- an entry that is billed whole; what a cap or a credit leaves open is not split by share alone
        select entry_key, component, project_code, split_id, currency, max(whole_amount) as amount
        from billing.live_charge
        where split_id is not null and entry_key in (select entry_key from made where split_id is not null)
        group by entry_key, component, project_code, split_id, currency
        having sum(amount) = max(whole_amount)
    ) whole
    join core.project using (project_code)
    join core.split_share share using (split_id)
    where not takes_residue
      and billing.round_money(whole.amount * share_pct / 100, whole.currency) <> (
          select coalesce(sum(part.amount), 0) from billing.live_charge part
          where (part.entry_key, part.component) = (whole.entry_key, whole.component)
            and coalesce(part.payer_id, project.customer_id) = share.payer_id);
    if found is not null then
        raise exception 'the payers of % do not pay what they agreed to', found using errcode = 'check_violation';
    end if;
    return null;
end $$;
create trigger guard_split after insert on billing.charge referencing new table as made
    for each statement execute function billing.guard_split();

-- who may what -------------------------------------------------------------------------------------------------------

grant select, insert on core.split, core.split_share to psflow_app;
grant usage on all sequences in schema core to psflow_app;
