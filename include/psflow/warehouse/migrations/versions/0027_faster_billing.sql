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

create function billing.guard_over_cap() returns trigger language plpgsql as $$
declare found text;
begin
    select min(entry_key) into found from added
    where cap_id is not null and not exists (select from billing.cap where cap.cap_id = added.cap_id);
    if found is not null then
        raise exception '% is left out for a cap that is not there', found using errcode = 'foreign_key_violation';
    end if;
    return null;
end $$;
comment on function billing.guard_over_cap is 'What is left out for a cap names one that is there.';
create trigger guard_over_cap after insert on billing.left_out referencing new table as added
    for each statement execute function billing.guard_over_cap();
create trigger guard_over_cap_moves after update on billing.left_out referencing new table as added
    for each statement execute function billing.guard_over_cap();
create trigger guard_left_out before delete or update of cap_id on billing.cap
    for each row execute function core.guard_named('billing.left_out', 'cap_id');
alter table billing.left_out drop constraint left_out_cap_id_fkey;

-- a month is told from its days, of which there are few, and not once a charge
create or replace function billing.guard_accounting() returns trigger language plpgsql as $$
begin
    perform core.refuse_closed(legal_entity_id, month, is_correction, 'the batch has work that counts in it')
    from (select batch.legal_entity_id, to_char(accounting_on, 'YYYY-MM') as month, bool_and(is_correction) as is_correction
          from (select batch_id, accounting_on, bool_and(adjustment_id is not null) as is_correction
                from made where accounting_on is not null group by batch_id, accounting_on) day
          join billing.batch using (batch_id)
          group by 1, 2 order by 1, 2) books;
    return null;
end $$;

-- hours and expenses each for themselves: asked together, all that there are would be read for a few charges
create or replace function billing.guard_frozen() returns trigger language plpgsql as $$
declare found text;
begin
    select min(made.charge_id) into found
    from made
    left join billing.batch_line line on (line.batch_id, line.charge_id) = (made.batch_id, made.charge_id)
    where (line.kind, line.time_entry_id, line.expense_entry_id, line.item_id, line.version, line.project_code, line.amount,
           line.currency, line.adjustment_id, line.order_id, line.overtime_id, line.tax_id)
          is distinct from
          (made.kind, made.time_entry_id, made.expense_entry_id, made.item_id, made.version, made.project_code, made.amount,
           made.currency, made.adjustment_id, made.order_id, made.overtime_id, made.tax_id);  -- its payer is asked by guard_split
    if found is not null then
        raise exception 'charge % is not what was frozen in its batch', found using errcode = 'foreign_key_violation';
    end if;
    select min(charge_id) into found from made
    where not exists (select from billing.invoice_line line where line.line_key = made.line_key);
    if found is not null then
        raise exception 'charge % is on no invoice line', found using errcode = 'foreign_key_violation';
    end if;
    select min(charge_id) into found from made
    where time_entry_id is not null
      and not exists (select from core.time_entry entry
                      where entry.time_entry_id = made.time_entry_id and entry.version = made.version);
    if found is not null then
        raise exception 'charge % is of an hour that is not there', found using errcode = 'foreign_key_violation';
    end if;
    select min(charge_id) into found from made
    where expense_entry_id is not null
      and not exists (select from core.expense_entry entry
                      where entry.expense_entry_id = made.expense_entry_id and entry.version = made.version);
    if found is not null then
        raise exception 'charge % is of an expense that is not there', found using errcode = 'foreign_key_violation';
    end if;
    select min(charge_id) into found from made
    where reverses is not null
      and not exists (select from billing.charge taken_back where taken_back.charge_id = made.reverses);
    if found is not null then
        raise exception 'charge % takes back none that is there', found using errcode = 'foreign_key_violation';
    end if;
    return null;
end $$;
-- what it looks up was read a moment ago; as if it lay on a disk, the whole ledger would be read for a few charges
alter function billing.guard_frozen() set random_page_cost = 1.1;
