-- Tax: which one a charge takes is frozen on it; the tax of a document is worked out once a category and rate on its nets.

-- who buys, and what the ERP says --------------------------------------------------------------------------------------

alter table core.customer add column vat_id text;
comment on column core.customer.vat_id is 'For tax, without blanks, its country''s letters first; null: none said.';
alter table core.erp_invoice add column tax_amount numeric(18, 3);
comment on column core.erp_invoice.tax_amount is 'The tax as the ERP worked it out; null: read before it was asked.';

-- taxes ----------------------------------------------------------------------------------------------------------------

create table billing.tax (
    tax_id bigint generated always as identity primary key,
    legal_entity_id text not null,
    treatment text not null,
    category text not null check (category in ('S', 'Z', 'AE', 'E', 'G', 'K', 'O')),
    rate_pct numeric(7, 4) not null check ((category = 'S') = (rate_pct > 0) and rate_pct >= 0),
    reason_code text check ((category in ('S', 'Z')) = (reason_code is null)),
    reason text,
    erp_tax text not null,
    rounding text not null check (rounding in ('half_up', 'half_even')),
    unique nulls not distinct (legal_entity_id, treatment, category, rate_pct, reason_code, reason, erp_tax, rounding)
);
comment on table billing.tax is 'Insert-only: the taxes that psflow.yaml named when something was billed; a charge names its own.';
comment on column billing.tax.treatment is 'Of the contract.';
comment on column billing.tax.category is 'EN 16931: S standard, Z zero rate, AE reverse charge, E exempt, G export, K intra-community, O not subject.';
comment on column billing.tax.reason_code is 'Why there is no tax (VATEX); null where there is one, or it is 0 by its rate.';
comment on column billing.tax.erp_tax is 'Its name in the ERP.';
comment on column billing.tax.rounding is 'Where half a cent goes: half_up away from zero, half_even to the even one.';

create function billing.tax_on(taxable numeric, rate_pct numeric, currency text, rounding text) returns numeric
    language sql immutable strict parallel safe
    return (select round(case when rounding = 'half_even' and abs(units - trunc(units)) = 0.5 then 2 * round(units / 2)
                              else round(units) end / power(10::numeric, digits), digits)
            from (select taxable * rate_pct / 100 * power(10::numeric, digits) as units, digits
                  from (select billing.minor_digits(currency) as digits) unit) exact);
comment on function billing.tax_on is 'The tax on a sum of nets, rounded once to the minor unit of the currency.';

-- what is frozen -------------------------------------------------------------------------------------------------------

alter table billing.invoice_line add foreign key (tax_id) references billing.tax;

create view billing.batch_tax as
select batch_id, project_code, payer_id, currency, category, rate_pct, reason_code, reason, rounding, taxable,
       case when is_from_before then 0 else billing.tax_on(taxable, rate_pct, currency, rounding) end as tax
from (
    select batch_id, project_code, payer_id, currency, category, rate_pct, reason_code, max(reason) as reason, max(rounding) as rounding,
           sum(amount) as taxable, category is null and bool_and(is_reversal) as is_from_before
    from (  -- a million rows are added up before their tax is looked up
        select batch_id, project_code, payer_id, currency, tax_id, sum(amount) as amount, bool_and(kind = 'reversal') as is_reversal
        from billing.batch_content
        group by batch_id, project_code, payer_id, currency, tax_id) content
    left join billing.tax using (tax_id)
    group by batch_id, project_code, payer_id, currency, category, rate_pct, reason_code) summed;
comment on view billing.batch_tax is
    'What a batch would be taxed: an invoice, category, rate and reason. Null category: reversals from before taxes were kept; null tax: none fits.';

-- the document ---------------------------------------------------------------------------------------------------------

create table billing.invoice_tax (
    invoice_key text not null references billing.invoice,
    category text,
    rate_pct numeric(7, 4),
    reason_code text,
    reason text,
    rounding text,
    taxable numeric(18, 3) not null,
    tax numeric(18, 3) not null check (tax = 0 or coalesce(category = 'S', false)),
    buyer_vat_id text check (buyer_vat_id is not null or category is null or category not in ('AE', 'K')),
    unique nulls not distinct (invoice_key, category, rate_pct, reason_code),
    check (num_nulls(category, rate_pct, rounding) in (0, 3)),
    check (category is null or (category in ('S', 'Z')) = (reason_code is null))
);
comment on table billing.invoice_tax is 'Insert-only: the taxes of an invoice, one a category, rate and reason (EN 16931 BG-23).';
comment on column billing.invoice_tax.taxable is 'Sum of the nets of its lines.';
comment on column billing.invoice_tax.tax is 'taxable x rate_pct, rounded once; never the sum of rounded taxes of lines.';
comment on column billing.invoice_tax.buyer_vat_id is 'As it was when the invoice was made; AE and K cannot do without.';

-- what must never happen -----------------------------------------------------------------------------------------------

create function billing.guard_tax() returns trigger language plpgsql as $$
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
    )
    select string_agg(distinct invoice_key || ' (' || says || ')', ', ') into found from wrong;
    if found is not null then
        raise exception 'the taxes of batch % do not add up: %', new.batch_id, found using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger guard_tax before update of state on billing.batch for each row
    when (new.state = 'released' and old.state <> 'released') execute function billing.guard_tax();
comment on function billing.guard_tax is 'EN 16931 before anything is sent (BR-S-08 and its like, BR-CO-17, BR-CO-13, BR-CO-14), and the plan that was approved.';

create function billing.guard_late_tax() returns trigger language plpgsql as $$
begin
    if exists (select from added join billing.invoice using (invoice_key) join billing.batch using (batch_id)
               where state in ('released', 'posted')) then
        raise exception 'a tax is written with its invoice, not behind it' using errcode = 'check_violation';
    end if;
    return null;
end $$;
create trigger guard_late after insert on billing.invoice_tax referencing new table as added
    for each statement execute function billing.guard_late_tax();

-- their lines have no tax: the next run freezes them anew
update billing.batch set state = 'stale' where state in ('frozen', 'checked', 'submitted', 'approved');

-- who may what ---------------------------------------------------------------------------------------------------------

grant select, insert on billing.tax, billing.invoice_tax to psflow_app;
grant select on billing.batch_tax to psflow_app;
grant usage on all sequences in schema billing to psflow_app;
