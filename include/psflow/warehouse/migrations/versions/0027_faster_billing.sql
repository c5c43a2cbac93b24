-- What a run reads of the whole ledger, and what is asked of each row that it writes, said so that Postgres does less.

-- few charges are taken back: that only those need a look is not to be guessed
create or replace view billing.live_charge as
select charge.* from billing.counted_charge charge
where kind = 'charge'
  and not exists (select from billing.counted_charge r where r.reverses = charge.charge_id and r.reverses is not null);

create function billing.invoice_key(batch_id text, project_code text, payer_id text) returns text language sql stable parallel safe
    return concat_ws('.', batch_id, project_code, payer_id);
comment on function billing.invoice_key is 'The name of an invoice: one a batch, project and payer.';

create or replace function billing.guard_known() returns trigger language plpgsql as $$
declare found text;
begin
    select min(charge_id) into found from added
    where not exists (select from billing.batch where batch.batch_id = added.batch_id)
       or not exists (select from core.project where project.project_code = added.project_code);
    if found is not null then
        raise exception 'line % is of a batch or project that is not there', found using errcode = 'foreign_key_violation';
    end if;
    select min(charge_id) into found from added
    where adjustment_id is not null
      and not exists (select from billing.adjustment decided where decided.adjustment_id = added.adjustment_id)
       or order_id is not null
      and not exists (select from billing.purchase_order named where named.order_id = added.order_id)
       or overtime_id is not null
      and not exists (select from core.overtime agreed where agreed.overtime_id = added.overtime_id);
    if found is not null then
        raise exception 'line % is under a decision, order or overtime that is not there', found
            using errcode = 'foreign_key_violation';
    end if;
    return null;
end $$;
comment on function billing.guard_known is
    'A frozen line is of a batch and of a project, and under no decision, order or overtime that is not there.';
alter table billing.batch_line
    drop constraint batch_line_adjustment_id_fkey,
    drop constraint batch_line_order_id_fkey,
    drop constraint batch_line_overtime_id_fkey;

create function billing.guard_invoiced() returns trigger language plpgsql as $$
declare found text;
begin
    select min(line_key) into found from added
    where not exists (select from billing.invoice where invoice.invoice_key = added.invoice_key);
    if found is not null then
        raise exception 'line % is on no invoice', found using errcode = 'foreign_key_violation';
    end if;
    select min(line_key) into found from added
    where order_id is not null
      and not exists (select from billing.purchase_order named where named.order_id = added.order_id)
       or tax_id is not null
      and not exists (select from billing.tax where tax.tax_id = added.tax_id);
    if found is not null then
        raise exception 'line % is under an order or tax that is not there', found using errcode = 'foreign_key_violation';
    end if;
    return null;
end $$;
comment on function billing.guard_invoiced is 'An invoice line is on an invoice, and under no order or tax that is not there.';
create trigger guard_invoiced after insert on billing.invoice_line referencing new table as added
    for each statement execute function billing.guard_invoiced();
alter table billing.invoice_line
    drop constraint invoice_line_invoice_key_fkey,
    drop constraint invoice_line_order_id_fkey,
    drop constraint invoice_line_tax_id_fkey;

-- the other direction
create trigger guard_lined before delete or update of invoice_key on billing.invoice
    for each row execute function core.guard_named('billing.invoice_line', 'invoice_key');
create trigger guard_lined before delete or update of tax_id on billing.tax
    for each row execute function core.guard_named('billing.invoice_line', 'tax_id');
create trigger guard_lined before delete or update of order_id on billing.purchase_order
    for each row execute function core.guard_named('billing.invoice_line', 'order_id');
create trigger guard_frozen before delete or update of order_id on billing.purchase_order
    for each row execute function core.guard_named('billing.batch_line', 'order_id');
create trigger guard_frozen before delete or update of adjustment_id on billing.adjustment
    for each row execute function core.guard_named('billing.batch_line', 'adjustment_id');
create trigger guard_frozen before delete or update of overtime_id on core.overtime
    for each row execute function core.guard_named('billing.batch_line', 'overtime_id');
