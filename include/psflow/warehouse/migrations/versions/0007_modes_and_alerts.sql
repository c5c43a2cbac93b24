-- What may leave needs a release when policy says so; who was told what about an exception.

alter table ops.effect
    add column released_by text,
    add column released_at timestamptz,
    add check ((released_by is null) = (released_at is null));
comment on column ops.effect.released_by is 'Person who let a proposed effect out (mode propose).';

create table ops.alert (
    exception_id bigint not null references ops.exceptions,
    event text not null check (event in ('new', 'escalated', 'resolved')),
    occurrence integer not null default 1,
    team text not null,
    told_at timestamptz not null default clock_timestamp(),
    primary key (exception_id, event, occurrence)
);
comment on table ops.alert is 'What an owner team was told about an exception, once an event; a reopened one is a new occurrence.';

grant select, insert on ops.alert to psflow_app;
