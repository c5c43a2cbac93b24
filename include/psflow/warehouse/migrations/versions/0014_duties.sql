-- Who may what: roles of the database, and duties kept apart by person.

-- people, as psflow.yaml names them ----------------------------------------------------------------------------------

create table ops.person (
    statement_id bigint generated always as identity primary key,
    person text not null,
    may text[] not null,
    resources text[] not null,
    legal_entities text[],
    told_at timestamptz not null default clock_timestamp()
);
create index person_newest on ops.person (person, statement_id);
comment on table ops.person is
    'Insert-only: what psflow.yaml says of a person, told again when it says something else. The newest row counts.';
comment on column ops.person.resources is 'Who of core.resource the person is.';
comment on column ops.person.legal_entities is 'Whose batches they may decide on; null: of all.';

create view ops.person_statement as
select person, may, resources, legal_entities, told_at, lead(told_at) over (partition by person order by statement_id) as until
from ops.person;
comment on view ops.person_statement is 'Every statement with when the next one replaced it; null: it counts now.';

create view billing.batch_maker as
select batch.batch_id, said.person, 'own hours or expenses are in it' as why
from billing.batch
join ops.person_statement said on said.until is null or said.until > batch.frozen_at
where cardinality(said.resources) > 0 and exists (
    select from billing.batch_content line
    left join core.time_entry hour on (hour.time_entry_id, hour.version) = (line.time_entry_id, line.version)
    left join core.expense_entry expense
        on (expense.expense_entry_id, expense.version) = (line.expense_entry_id, line.version)
    where line.batch_id = batch.batch_id and coalesce(hour.resource_id, expense.resource_id) = any (said.resources))
union
select batch.batch_id, said.person, 'edits the rates it is priced at'
from billing.batch
join ops.person_statement said on said.until is null or said.until > batch.frozen_at
where 'rates' = any (said.may)
  and exists (select from billing.batch_content line where line.batch_id = batch.batch_id and line.source = 'time');
comment on view billing.batch_maker is
    'Who may not decide on a batch, and why. What psflow.yaml said at any time since the batch was frozen counts.';

-- what must never happen ---------------------------------------------------------------------------------------------

create or replace function ops.guard_approval() returns trigger language plpgsql as $$
declare
    reason text;
begin
    if new.content_hash is distinct from billing.content_hash(new.batch_id) then
        raise exception 'batch % changed: its hash is not the one that was shown', new.batch_id using errcode = 'check_violation';
    end if;
    if new.step = 'approve' and not exists (
        select from ops.approval s where s.batch_id = new.batch_id and s.step = 'submit' and s.decision = 'approved'
                                     and s.content_hash = new.content_hash) then
        raise exception 'batch % was not submitted with this content', new.batch_id using errcode = 'check_violation';
    end if;
    if exists (select from ops.approval s where s.batch_id = new.batch_id and s.step <> new.step and s.person = new.person) then
        raise exception 'person % may not both submit and approve batch %', new.person, new.batch_id using errcode = 'check_violation';
    end if;
    if not exists (
        select from ops.person_statement said join billing.batch on batch.batch_id = new.batch_id
        where said.person = new.person and said.until is null and new.step = any (said.may)
          and (said.legal_entities is null or batch.legal_entity_id = any (said.legal_entities))) then
        raise exception 'person % may not % batch %: psflow.yaml does not say so', new.person, new.step, new.batch_id
            using errcode = 'check_violation';
    end if;
    select string_agg(why, '; ' order by why) into reason
    from billing.batch_maker maker where (maker.batch_id, maker.person) = (new.batch_id, new.person);
    if reason is not null then
        raise exception 'person % may not % batch %: %', new.person, new.step, new.batch_id, reason
            using errcode = 'check_violation';
    end if;
    return new;
end $$;

create function billing.guard_makers() returns trigger language plpgsql as $$
declare
    found text;
begin
    select string_agg(format('%s decided on batch %s: %s', person, batch_id, why), '; ' order by person, why) into found
    from (select distinct batch_id from added) batch
    join billing.batch_maker using (batch_id)
    join ops.approval using (batch_id, person);
    if found is not null then
        raise exception '%', found using errcode = 'check_violation';
    end if;
    return null;
end $$;
create trigger guard_makers after insert on billing.invoice referencing new table as added
    for each statement execute function billing.guard_makers();
comment on function billing.guard_makers is
    'Asked again when the invoices are made: what is known of a person may have come after the approval.';

-- who may what: the application --------------------------------------------------------------------------------------

grant select, insert on ops.person to psflow_app;
grant usage on all sequences in schema ops to psflow_app;
grant select on ops.person_statement, billing.batch_maker to psflow_app;

do $$ declare
    kept record;
    columns text;
begin
    for kept in
        select * from (values  -- what a row is, is never written over
            ('core.engagement', array['engagement_id', 'opportunity_id', 'customer_id']),
            ('core.history', array['entity', 'entity_id', 'valid_from', 'content']),
            ('core.time_entry_head', array['time_entry_id']),
            ('core.expense_entry_head', array['expense_entry_id']),
            ('ops.crosswalk', array['kind', 'system', 'instance', 'external_id']),
            ('ops.effect', array['effect_key', 'system', 'capability', 'region', 'registered_at']),
            ('ops.exceptions', array['exception_id', 'rule', 'entity', 'record_id', 'field']),
            ('ops.match_candidate', array['entity', 'system', 'instance', 'external_id', 'entity_id', 'score', 'proposed_at']),
            ('ops.watermark', array['system', 'instance', 'stream']),
            ('ops.workflow', array['engagement_id', 'epoch'])) as kept (relation, fixed)
    loop
        select string_agg(quote_ident(attname), ', ' order by attnum) into columns from pg_attribute
        where attrelid = kept.relation::regclass and attnum > 0 and not attisdropped and attgenerated = ''
          and attname <> all (kept.fixed);
        execute format('revoke update on %s from psflow_app', kept.relation);
        execute format('grant update (%s) on %s to psflow_app', columns, kept.relation);
    end loop;
end $$;

-- who may what: the PMO, no price, no cost, no value of a record ------------------------------------------------------

create view ops.exception_list as
select exception_id, rule, entity, record_id, field, owner_team, fix, state, engagement_id, assignee, seen, opened_at,
       last_seen_at, due_at, resolved_at, age_business_days, is_overdue
from ops.exception_age;
comment on view ops.exception_list is
    'Exceptions without value, message and money: those may name a person or a price. The pages show them to who may see.';

alter default privileges in schema finance revoke select on tables from psflow_pmo;
revoke all on all tables in schema finance from psflow_pmo;
grant select on ops.exception_list to psflow_pmo, psflow_app;

-- who may what: everybody else ---------------------------------------------------------------------------------------

do $$ begin
    execute format('revoke all on database %I from public', current_database());
    execute format('grant connect on database %I to psflow_app, psflow_finance, psflow_pmo', current_database());
    execute format('grant temporary on database %I to psflow_app', current_database());
end $$;
revoke all on schema public from public;
