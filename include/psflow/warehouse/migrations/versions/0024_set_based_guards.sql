-- What a charge or a frozen line is of is asked once a statement: a foreign key asks once a row and a reference.

create function billing.guard_frozen() returns trigger language plpgsql as $$
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
                      where entry.time_entry_id = made.time_entry_id and entry.version = made.version)
       or expense_entry_id is not null
      and not exists (select from core.expense_entry entry
                      where entry.expense_entry_id = made.expense_entry_id and entry.version = made.version);
    if found is not null then
        raise exception 'charge % is of an hour or expense that is not there', found using errcode = 'foreign_key_violation';
    end if;
    select min(charge_id) into found from made
    where reverses is not null
      and not exists (select from billing.charge taken_back where taken_back.charge_id = made.reverses);
    if found is not null then
        raise exception 'charge % takes back none that is there', found using errcode = 'foreign_key_violation';
    end if;
    return null;
end $$;
comment on function billing.guard_frozen is
    'A charge is what was frozen, on an invoice line, of an hour or expense that is there; a reversal is of a charge.';
create trigger guard_frozen after insert on billing.charge referencing new table as made
    for each statement execute function billing.guard_frozen();
alter table billing.charge
    drop constraint charge_batch_id_charge_id_fkey,
    drop constraint charge_line_key_fkey,
    drop constraint charge_project_code_fkey,
    drop constraint charge_time_entry_id_version_fkey,
    drop constraint charge_expense_entry_id_version_fkey,
    drop constraint charge_reverses_fkey,
    drop constraint charge_adjustment_id_fkey,
    drop constraint charge_order_id_fkey,
    drop constraint charge_overtime_id_fkey;

-- the other direction, for whoever may delete: the application may not
create function core.guard_named() returns trigger language plpgsql as $$
declare is_named boolean;
begin
    execute format('select exists (select from %s where (%s) = (select %s from (select ($1).*) gone))',
                   tg_argv[0], tg_argv[1], coalesce(tg_argv[2], tg_argv[1])) into is_named using old;
    if is_named then
        raise exception 'a row of % is named in % and stays', tg_table_name, tg_argv[0] using errcode = 'foreign_key_violation';
    end if;
    return case tg_op when 'DELETE' then old else new end;
end $$;
create trigger guard_charged before delete or update of time_entry_id, version on core.time_entry
    for each row execute function core.guard_named('billing.charge', 'time_entry_id, version');
create trigger guard_pointed before delete or update of time_entry_id, version on core.time_entry
    for each row execute function core.guard_named('core.time_entry_head', 'time_entry_id, latest_version', 'time_entry_id, version');
create trigger guard_charged before delete or update of expense_entry_id, version on core.expense_entry
    for each row execute function core.guard_named('billing.charge', 'expense_entry_id, version');
create trigger guard_charged before delete or update of batch_id, charge_id on billing.batch_line
    for each row execute function core.guard_named('billing.charge', 'batch_id, charge_id');
create trigger guard_charged before delete or update of line_key on billing.invoice_line
    for each row execute function core.guard_named('billing.charge', 'line_key');

create function billing.guard_known() returns trigger language plpgsql as $$
declare found text;
begin
    select min(charge_id) into found from added
    where not exists (select from billing.batch where batch.batch_id = added.batch_id)
       or not exists (select from core.project where project.project_code = added.project_code);
    if found is not null then
        raise exception 'line % is of a batch or project that is not there', found using errcode = 'foreign_key_violation';
    end if;
    return null;
end $$;
comment on function billing.guard_known is 'A frozen line is of a batch and of a project.';
create trigger guard_known after insert on billing.batch_line referencing new table as added
    for each statement execute function billing.guard_known();
alter table billing.batch_line drop constraint batch_line_batch_id_fkey, drop constraint batch_line_project_code_fkey;

-- written so that Postgres puts them into the statement: a call costs more than the arithmetic
create or replace function billing.minor_digits(currency text) returns integer language sql immutable parallel safe
    return case when currency is null then null
                when currency in ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'VND', 'VUV',
                                  'XAF', 'XOF', 'XPF') then 0
                when currency in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 3
                else 2 end;
create or replace function billing.round_money(amount numeric, currency text) returns numeric
    language sql immutable parallel safe
    return round(amount, billing.minor_digits(currency));

-- the same for versions of hours, of which a load brings as many
create function core.guard_version() returns trigger language plpgsql as $$
declare found text;
begin
    select min(time_entry_id) into found from added
    where not exists (select from core.time_load load where load.load_id = added.load_id);
    if found is not null then
        raise exception 'a version of hour % is of no load', found using errcode = 'foreign_key_violation';
    end if;
    return null;
end $$;
create trigger guard_version after insert on core.time_entry referencing new table as added
    for each statement execute function core.guard_version();
alter table core.time_entry drop constraint time_entry_load_id_fkey;

create function core.guard_head() returns trigger language plpgsql as $$
declare found text;
begin
    select min(time_entry_id) into found from pointed
    where not exists (select from core.time_entry entry
                      where entry.time_entry_id = pointed.time_entry_id and entry.version = pointed.latest_version);
    if found is not null then
        raise exception 'hour % has no version that it is said to have', found using errcode = 'foreign_key_violation';
    end if;
    return null;
end $$;
create trigger guard_head after insert on core.time_entry_head referencing new table as pointed
    for each statement execute function core.guard_head();
create trigger guard_head_moves after update on core.time_entry_head referencing new table as pointed
    for each statement execute function core.guard_head();
alter table core.time_entry_head drop constraint time_entry_head_time_entry_id_latest_version_fkey;
