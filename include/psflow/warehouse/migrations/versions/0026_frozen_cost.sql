-- What an hour cost us is frozen beside what it was billed at; which price wins and which taxes hold is known to SQL; category O
-- stands alone.

-- what it cost ---------------------------------------------------------------------------------------------------------

alter table billing.charge
    add column labour_cost numeric(18, 6),
    add column labour_cost_currency char(3),
    add column cost_rate_id text,
    add column cost_missing text default 'billed before costs were kept';  -- what is there has it without being written anew
alter table billing.charge
    alter column cost_missing drop default,
    add constraint charge_cost_said check (
        num_nulls(labour_cost, labour_cost_currency, cost_rate_id) in (0, 3)
        and (source <> 'time' or num_nonnulls(labour_cost, cost_missing) = 1));
comment on column billing.charge.labour_cost is
    'What its hours worked cost us, at the cost rate of their person and day when they were billed; of a reversal that of what it takes back.';
comment on column billing.charge.cost_rate_id is 'The row of core.cost_rate: person and first day.';
comment on column billing.charge.cost_missing is 'Why there is no cost, which is never 0; null for what is no hour, too.';

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

-- which price wins -----------------------------------------------------------------------------------------------------

alter table core.legal_entity
    add column rate_levels text[] not null default '{contract_line,contract,customer,standard}',
    add column rate_specificity text[] not null default '{person,role+region,role}';
comment on column core.legal_entity.rate_levels is 'Of several prices of a day the first level wins; one that is not named has no price.';
comment on column core.legal_entity.rate_specificity is 'Within a level the first of these wins.';

-- what psflow.yaml says of taxes -----------------------------------------------------------------------------------------

create table billing.tax_rules (
    statement_id bigint generated always as identity primary key,
    legal_entity_id text not null,
    rules jsonb not null,
    told_at timestamptz not null default clock_timestamp()
);
comment on table billing.tax_rules is
    'Insert-only: `taxes` and `tax_rounding` of a legal entity in psflow.yaml, as a billing run first saw them.';
grant select, insert on billing.tax_rules to psflow_app;
grant usage on all sequences in schema billing to psflow_app;

-- a unit may say of what it is, since one control may count the same money twice -------------------------------------------

create or replace function ops.sum_text(total numeric, unit text) returns text language sql immutable
    return case when unit ~ '^[A-Z]{3}( |$)' then round(total, billing.minor_digits(left(unit, 3))) else trim_scale(total) end::text;

-- category O stands alone on its document --------------------------------------------------------------------------------

create or replace function billing.guard_tax() returns trigger language plpgsql as $$
declare found text;
begin
    with document as (select invoice_key, currency, amount, tax_amount from billing.invoice where batch_id = new.batch_id),
    taxed as (select invoice_tax.*, currency from billing.invoice_tax join document using (invoice_key)),
    wrong as (
        select invoice_key, 'the nets of its lines and of its taxes differ in category ' || coalesce(category, 'none') as says
        from (
            select invoice_key, tax.category, rate_pct, reason_code, line.amount as net
            from billing.invoice_line line join document using (invoice_key) left join billing.tax using (tax_id)
            union all
            select invoice_key, category, rate_pct, reason_code, -taxable from taxed) side
        group by invoice_key, category, rate_pct, reason_code
        having sum(net) <> 0
        union all
        select invoice_key, 'a tax of ' || tax || ' is not ' || rate_pct || ' % of ' || taxable from taxed
        where tax <> billing.tax_on(taxable, rate_pct, currency, rounding)
        union all
        select invoice_key, 'its net or its tax is not the sum of its taxes'
        from document
        left join (select invoice_key, sum(taxable) as taxable, sum(tax) as tax from taxed group by invoice_key) total
            using (invoice_key)
        where (document.amount, tax_amount) is distinct from (total.taxable, total.tax)
        union all
        select invoice_key, 'people approved a tax of ' || coalesce(planned.tax::text, 'none')
        from document
        cross join billing.plan
        join json_to_recordset(plan -> 'invoices') as planned (invoice_key text, tax numeric) using (invoice_key)
        where plan.batch_id = new.batch_id and planned.tax is distinct from document.tax_amount
        union all
        select invoice_key, 'category O stands beside another' from taxed
        group by invoice_key having bool_or(category = 'O') and count(category) > 1
    )
    select string_agg(distinct invoice_key || ' (' || says || ')', ', ') into found from wrong;
    if found is not null then
        raise exception 'the taxes of batch % do not add up: %', new.batch_id, found using errcode = 'check_violation';
    end if;
    return new;
end $$;
comment on function billing.guard_tax is
    'EN 16931 before anything is sent (BR-S-08 and its like, BR-CO-17, BR-CO-13, BR-CO-14, BR-O-11 to 14), and the plan that was approved.';
