-- Purchase orders: what is billed under one uses its amount up, like a cap that has a number.

-- orders -------------------------------------------------------------------------------------------------------------

alter table billing.cap
    drop constraint cap_level_check,
    add constraint cap_level_check check (level in ('entry', 'customer_on_line', 'line', 'contract', 'customer', 'order')),
    drop constraint cap_counts_check,
    add constraint cap_counts_check check (counts in ('fees', 'fees_and_expenses', 'all'));
comment on table billing.cap is
    'Not to exceed: what one entry, line, contract or customer may be billed in all, and what a purchase order pays.';

create table billing.purchase_order (
    order_id text primary key,
    contract_id text not null references core.contract,
    contract_line text,
    number text check (number <> ''),
    valid_from date,
    valid_to date,
    is_required boolean not null,
    cap_id text references billing.cap,
    check (num_nonnulls(number, valid_from, cap_id) in (0, 3)),
    check (number is not null or is_required and valid_to is null),
    check (valid_to >= valid_from)
);
create index purchase_order_by_contract on billing.purchase_order (contract_id);
comment on table billing.purchase_order is
    'Orders of customers, by contract or contract line; the amount of one is its cap. Without a number: only that one is required.';
comment on column billing.purchase_order.is_required is 'Work on a day without an order waits; one of such rows is enough.';

-- the ledger says under which order it bills ---------------------------------------------------------------------------

do $$ declare ledger text;
begin
    foreach ledger in array array['batch_line', 'charge', 'invoice_line'] loop
        execute format('alter table billing.%I add column order_id text references billing.purchase_order', ledger);
        execute format('comment on column billing.%I.order_id is %L', ledger,
            'Purchase order whose amount it uses; null: none.');
    end loop;
end $$;
create index charge_by_order on billing.charge (order_id) where order_id is not null;
-- the views of the ledger and the hash of its lines take it in the next step, with what else is new on them

alter table billing.left_out add column new_version integer;
comment on column billing.left_out.new_version is
    'Version of an entry that changed after it was billed: it counts once the charge of the one before is taken back.';

-- what must never happen ---------------------------------------------------------------------------------------------

create function billing.guard_order() returns trigger language plpgsql as $$
declare found text;
begin
    if not exists (select from billing.purchase_order) then
        return null;
    end if;
    select string_agg(order_id, ', ' order by order_id) into found
    from (select order_id from made where order_id is not null group by order_id having sum(amount) > 0) used
    join billing.purchase_order using (order_id)
    join billing.cap using (cap_id)
    where limit_amount < (select sum(live.amount) from billing.live_charge live where live.order_id = used.order_id);
    if found is not null then
        raise exception 'the batch bills more than is left of purchase order %', found using errcode = 'check_violation';
    end if;
    return null;
end $$;
create trigger guard_order after insert on billing.charge referencing new table as made
    for each statement execute function billing.guard_order();

-- who may what -------------------------------------------------------------------------------------------------------

grant select, insert on billing.purchase_order to psflow_app;
grant update (valid_from, valid_to, is_required) on billing.purchase_order to psflow_app;
