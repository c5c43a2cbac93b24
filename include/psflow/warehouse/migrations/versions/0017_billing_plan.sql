-- The plan of a billing batch, as it was shown and signed; above a limit two persons approve it.

-- the plan -----------------------------------------------------------------------------------------------------------

create function billing.plan_hash(content_hash text, plan json) returns text language sql stable
    return encode(sha256(convert_to(content_hash || e'\n' || plan::text, 'UTF8')), 'hex');
comment on function billing.plan_hash is 'SHA-256 over the content a plan is of and the plan.';

create table billing.plan (
    batch_id text primary key references billing.batch,
    content_hash text not null,
    plan json not null,
    plan_hash text not null,
    made_at timestamptz not null default clock_timestamp()
);
comment on table billing.plan is
    'Insert-only: what people were shown of a batch when they decided: its invoices, lines, totals, changes, what is held, caps and tax.';

create function billing.seal_plan() returns trigger language plpgsql as $$
begin
    new.plan_hash := billing.plan_hash(new.content_hash, new.plan);
    return new;
end $$;
create trigger seal before insert on billing.plan for each row execute function billing.seal_plan();

-- how many approve ---------------------------------------------------------------------------------------------------

create table ops.approval_limit (
    statement_id bigint generated always as identity primary key,
    second_approver_above jsonb not null,
    told_at timestamptz not null default clock_timestamp()
);
comment on table ops.approval_limit is
    'Insert-only: above which amount a currency psflow.yaml wants two approvers; the newest row counts, {} is no limit.';

create function billing.approvers_needed(batch text) returns integer language sql stable
    return case when exists (
        select
        from (select said.second_approver_above as above from ops.approval_limit said order by statement_id desc limit 1) newest
        cross join (
            select currency, sum(abs(amount)) as amount
            from (select project_code, currency, sum(amount) as amount from billing.batch_content
                  where batch_id = batch group by project_code, currency) invoice
            group by currency) total
        where above <> '{}' and coalesce(amount > (above ->> currency::text)::numeric, true)
    ) then 2 else 1 end;
comment on function billing.approvers_needed is
    'Two where the invoices of a currency, credits not set off, exceed its limit, or limits name other currencies only.';

alter table ops.approval
    add column seat integer not null default 1,
    add column reason text,
    add column plan_hash text,
    add check (seat = 1 or step = 'approve' and seat = 2),
    drop constraint approval_pkey,
    add constraint approval_pkey primary key (batch_id, step, seat);
comment on column ops.approval.seat is 'First or second approver.';
comment on column ops.approval.reason is 'What the person said, of a reject above all; null: nothing.';
comment on column ops.approval.plan_hash is 'Of the plan that was decided on; written by the database.';

create function ops.guard_plan() returns trigger language plpgsql as $$
declare
    shown billing.plan := (select p from billing.plan p where p.batch_id = new.batch_id);
begin
    if shown.batch_id is not null and (shown.content_hash, shown.plan_hash)
           is distinct from (new.content_hash, billing.plan_hash(shown.content_hash, shown.plan)) then
        raise exception 'the plan of batch % is not one of its content', new.batch_id using errcode = 'check_violation';
    end if;
    new.plan_hash := shown.plan_hash;
    if exists (select from ops.approval a where a.batch_id = new.batch_id and a.decision = 'rejected') then
        raise exception 'batch % was rejected', new.batch_id using errcode = 'check_violation';
    end if;
    if new.seat = 2 and billing.approvers_needed(new.batch_id) < 2 then
        raise exception 'batch % needs one approver, not two', new.batch_id using errcode = 'check_violation';
    end if;
    if new.seat = 2 and not exists (
        select from ops.approval a
        where (a.batch_id, a.step, a.seat, a.content_hash) = (new.batch_id, 'approve', 1, new.content_hash)
          and a.person <> new.person) then
        raise exception 'person % may not be both approvers of batch %', new.person, new.batch_id using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger guard_plan before insert on ops.approval for each row execute function ops.guard_plan();

create function billing.guard_plan() returns trigger language plpgsql as $$
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
            as planned (invoice_key text, project_code text, currency text, amount numeric) using (invoice_key)
        where (made.project_code, made.currency::text, made.amount)
              is distinct from (planned.project_code, planned.currency, planned.amount);
        if found is not null then
            raise exception 'batch % would make other invoices than its plan says: %', batch, found using errcode = 'check_violation';
        end if;
    end loop;
    return null;
end $$;
create trigger guard_plan after insert on billing.invoice referencing new table as added
    for each statement execute function billing.guard_plan();
comment on function billing.guard_plan is 'Invoices are those of the plan that enough people approved, to the cent.';

-- they have no plan: the next run freezes them anew
update billing.batch set state = 'stale' where state in ('checked', 'submitted', 'approved');

grant select, insert on billing.plan, ops.approval_limit to psflow_app;
grant usage on all sequences in schema ops to psflow_app;
