-- What vendors' answers are made of, so that a change of theirs is noticed before it hurts.

create table raw.field (
    system text not null,
    kind text not null,
    field text not null,
    json_type text not null,
    first_seen_at timestamptz not null default clock_timestamp(),
    primary key (system, kind, field, json_type)
);
comment on table raw.field is 'Fields of each kind of record and their JSON types, as ever received; null is no type.';

grant select, insert on raw.field to psflow_app;
