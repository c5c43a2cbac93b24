-- The whole firm: people, demand, staffing, expenses, capacity, exchange rates, and who owns which field.

-- core: what the deal asks for -----------------------------------------------------------------------------------------

alter table core.opportunity
    add column tax_treatment text,
    add column delivery_region text;
alter table core.opportunity_line
    add column role text,
    add column skills text[] not null default '{}',
    add column hours_per_day numeric(6, 2),
    add column starts_on date,
    add column ends_on date;
alter table core.contract
    add column tax_treatment text,
    add column delivery_region text;

-- core: people -------------------------------------------------------------------------------------------------------

alter table core.resource
    add column work_email text unique check (work_email = lower(work_email)),
    add column region text,
    add column employed_from date,
    add column employed_to date,
    add column skills text[] not null default '{}';
comment on column core.resource.work_email is 'The exact key by which systems agree on a person.';

create table core.skill (
    skill text primary key,
    name text not null
);

create table core.work_pattern (
    resource_id text not null references core.resource,
    valid_from date not null,
    hours numeric(4, 2)[] not null check (cardinality(hours) = 7),
    primary key (resource_id, valid_from)
);
comment on table core.work_pattern is 'Hours of each weekday, Monday first, from a day on, before leave.';

create table core.absence (
    absence_id text not null,
    resource_id text not null references core.resource,
    absent_on date not null,
    hours numeric(4, 2) not null check (hours between 0 and 24),
    is_approved boolean not null,
    primary key (absence_id, absent_on)
);
create index absence_by_person on core.absence (resource_id, absent_on);

create table core.cost_rate (
    resource_id text not null references core.resource,
    valid_from date not null,
    valid_to date,
    hourly_cost numeric(18, 4) not null check (hourly_cost > 0),
    currency char(3) not null,
    primary key (resource_id, valid_from),
    exclude using gist (resource_id with =, daterange(valid_from, valid_to, '[]') with &&)
);

create function core.capacity(from_day date, to_day date) returns table (resource_id text, day date, hours numeric)
    language sql stable as $$
    select person.resource_id, at.day,
           greatest(pattern.hours[extract(isodow from at.day)::integer] - coalesce(away.hours, 0), 0)
    from core.resource person
    cross join lateral (
        select generate_series(
            greatest(from_day, person.employed_from), least(to_day, person.employed_to), interval '1 day')::date
    ) as at (day)
    join lateral (
        select hours from core.work_pattern
        where work_pattern.resource_id = person.resource_id and valid_from <= at.day
        order by valid_from desc limit 1
    ) pattern on true
    left join lateral (
        select sum(absence.hours) as hours from core.absence
        where absence.resource_id = person.resource_id and absent_on = at.day and is_approved
    ) away on true
$$;
comment on function core.capacity is
    'Hours each employed person can give on each day: pattern less approved leave. No pattern, no row: unknown is not 0.';

-- core: delivery -----------------------------------------------------------------------------------------------------

create table core.task (
    task_id text primary key,
    project_ref text not null,
    title text not null,
    is_billable boolean not null,
    is_done boolean not null,
    modified_at timestamptz
);
create table core.milestone (
    milestone_id text primary key,
    project_ref text not null,
    title text not null,
    due_on date,
    is_done boolean not null,
    modified_at timestamptz
);

create table core.resource_request (
    request_id text primary key,
    engagement_id text not null references core.engagement,
    epoch integer not null,
    role text not null,
    skills text[] not null default '{}',
    region text,
    starts_on date not null,
    ends_on date not null,
    hours_per_day numeric(4, 2) not null check (hours_per_day > 0),
    state text not null default 'open' check (state in ('open', 'assigned', 'unstaffed', 'closed')),
    check (starts_on <= ends_on)
);

create table core.assignment (
    assignment_id text primary key,
    request_id text references core.resource_request,
    resource_id text not null references core.resource,
    project_code text references core.project,
    starts_on date not null,
    ends_on date not null,
    hours_per_day numeric(4, 2) not null check (hours_per_day > 0),
    is_confirmed boolean not null,
    modified_at timestamptz,
    check (starts_on <= ends_on)
);
create index assignment_by_person on core.assignment (resource_id, starts_on);
create unique index assignment_once_per_request on core.assignment (request_id) where request_id is not null;

create function core.booked(from_day date, to_day date) returns table (resource_id text, day date, hours numeric)
    language sql stable as $$
    select assignment.resource_id, at.day::date, sum(assignment.hours_per_day)
    from core.assignment
    cross join lateral generate_series(greatest(from_day, starts_on), least(to_day, ends_on), interval '1 day') as at (day)
    where extract(isodow from at.day) < 6
    group by 1, 2
$$;
comment on function core.booked is 'Hours each person is assigned on each working day, Monday to Friday.';

-- core: expenses -----------------------------------------------------------------------------------------------------

create table core.expense_entry (
    expense_entry_id text not null,
    version integer not null check (version > 0),
    load_id bigint not null references core.time_load,
    project_ref text,
    resource_ref text,
    spent_on date,
    category text,
    amount numeric(18, 4),
    currency text,
    is_billable boolean,
    is_approved boolean,
    has_receipt boolean,
    notes text,
    modified_at timestamptz not null,
    project_code text,
    resource_id text,
    primary key (expense_entry_id, version)
);
create index expense_entry_by_load on core.expense_entry (load_id);
comment on table core.expense_entry is
    'Insert-only: every version of every expense, frozen under the load that brought it.';

create table core.expense_entry_head (
    expense_entry_id text primary key,
    latest_version integer not null,
    passed_version integer,
    state text not null check (state in ('pending', 'passed', 'held')),
    foreign key (expense_entry_id, latest_version) references core.expense_entry (expense_entry_id, version)
);

-- core: money --------------------------------------------------------------------------------------------------------

create table core.fx_rate (
    from_currency char(3) not null,
    to_currency char(3) not null,
    valid_on date not null,
    rate numeric(18, 8) not null check (rate > 0),
    source text not null,
    primary key (from_currency, to_currency, valid_on),
    check (from_currency <> to_currency)
);
comment on table core.fx_rate is
    'Units of to_currency for one of from_currency, from a day on until the next one. Owner: ERP.';

create table billing.opening_balance (
    project_code text primary key references core.project,
    as_of date not null,
    hours numeric(12, 4) not null,
    amount numeric(18, 3) not null,
    currency char(3) not null
);
comment on table billing.opening_balance is
    'What was billed elsewhere for work before the day psflow starts billing, one row a project.';

-- core: history and ownership ----------------------------------------------------------------------------------------

create table core.history (
    entity text not null,
    entity_id text not null,
    valid_from timestamptz not null,
    valid_to timestamptz,
    content jsonb not null,
    primary key (entity, entity_id, valid_from)
);
create unique index history_one_current on core.history (entity, entity_id) where valid_to is null;
comment on table core.history is
    'Every state of customers, resources and rates and from when to when we held it; written by triggers.';

create function core.keep_history() returns trigger language plpgsql as $$
declare
    content jsonb := case tg_op when 'DELETE' then to_jsonb(old) else to_jsonb(new) end;
    id text;
    at timestamptz := clock_timestamp();
begin
    select string_agg(content ->> key, '|' order by n) into id from unnest(tg_argv[1:]) with ordinality as keys (key, n);
    update core.history set valid_to = at where entity = tg_argv[0] and entity_id = id and valid_to is null;
    if tg_op <> 'DELETE' then
        insert into core.history (entity, entity_id, valid_from, content) values (tg_argv[0], id, at, content);
    end if;
    return null;
end $$;
create trigger history after insert or update or delete on core.customer
    for each row execute function core.keep_history('customer', 'customer_id');
create trigger history after insert or update or delete on core.resource
    for each row execute function core.keep_history('resource', 'resource_id');
create trigger history after insert or update or delete on core.rate
    for each row execute function core.keep_history('rate', 'rate_card_id', 'role', 'valid_from');

create table ops.drift (
    entity text not null,
    entity_id text not null,
    field text not null,
    owner text not null,
    owner_value text,
    system text not null,
    system_value text,
    seen_at timestamptz not null default clock_timestamp(),
    primary key (entity, entity_id, field, system)
);
comment on table ops.drift is
    'Fields on which a system that does not own them disagrees with the one that does, as last read.';

create table ops.match_candidate (
    entity text not null,
    system text not null,
    instance text not null,
    external_id text not null,
    entity_id text not null,
    score numeric(5, 2) not null check (score between 0 and 100),
    proposed_at timestamptz not null default clock_timestamp(),
    decision text check (decision in ('same', 'different')),
    decided_by text,
    decided_at timestamptz,
    primary key (entity, system, instance, external_id, entity_id),
    check ((decision is null) = (decided_by is null))
);
comment on table ops.match_candidate is
    'Records that look like one we know. A person says whether they are; a score never does.';

-- who may what -------------------------------------------------------------------------------------------------------

grant select, insert on all tables in schema core, billing, ops to psflow_app;
grant update on core.task, core.milestone, core.resource_request, core.assignment, core.expense_entry_head, core.skill,
    core.work_pattern, core.absence, core.cost_rate, core.fx_rate, core.history, ops.drift, ops.match_candidate to psflow_app;
grant delete on core.work_pattern, core.absence, core.assignment, core.cost_rate, ops.drift to psflow_app;
