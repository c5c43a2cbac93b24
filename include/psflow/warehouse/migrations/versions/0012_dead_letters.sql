-- What was given up on, kept as it was and as a person corrected it.

grant update (received_at) on raw.record to psflow_app;
comment on column raw.record.received_at is
    'When this version came; again when it comes back after another one, so that the newest is the newest.';

alter table ops.effect add column doubted_hash text;
comment on column ops.effect.doubted_hash is
    'Payload an effect that was given up may have landed with, when a person changed it since; null: the one it has.';

create table ops.dead_letter_edit (
    edit_id bigint generated always as identity primary key,
    dead_letter text not null,
    original_hash text not null,
    original text not null,
    payload text not null,
    person text not null,
    reason text not null check (reason <> ''),
    edited_at timestamptz not null default clock_timestamp()
);
create index dead_letter_edit_by_letter on ops.dead_letter_edit (dead_letter, edit_id);
comment on table ops.dead_letter_edit is 'Insert-only: copies that people corrected, each beside what it was made of.';

create table ops.payload_replay (
    replay_id bigint generated always as identity primary key,
    system text not null,
    instance text not null,
    stream text not null,
    record_id text not null,
    payload_hash text not null,
    payload text not null,
    person text not null,
    asked_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    outcome text check (outcome in ('read', 'unreadable', 'overtaken')),
    check ((ended_at is null) = (outcome is null))
);
create unique index payload_replay_once on ops.payload_replay (system, instance, stream, record_id)
    where ended_at is null;
comment on table ops.payload_replay is 'Payloads a person wants read again; the next read of their stream does it first.';
comment on column ops.payload_replay.payload_hash is 'The version as received; a newer one overtakes the replay.';
comment on column ops.payload_replay.payload is 'What is read: as received, or as corrected.';

create view ops.dead_letter as
with letter as (
    select effect_key as id, 'effect' as kind, system, null as instance, capability as about, effect_key as record_id, state,
           last_error as error, settled_at as given_up_at, engagement_id, payload_hash, payload::text as payload
    from ops.effect where state in ('dead', 'refused')
    union all
    select concat_ws('/', raw.system, raw.kind, raw.record_id), 'payload', raw.system, raw.instance, raw.kind, raw.record_id,
           'unreadable', substr(message, length(raw.system) + 3), opened_at, engagement_id, raw.payload_hash, raw.payload
    from ops.exceptions
    cross join lateral (
        select * from raw.record
        where record.system = split_part(exceptions.message, ':', 1) and record.kind = exceptions.entity and record.record_id = exceptions.record_id
        order by received_at desc limit 1) raw
    where rule = 'record' and field = 'payload' and exceptions.state = 'open'
)
select letter.*, edit.edit_id, edit.payload as edited, edit.person as edited_by, edit.reason,
       exists (select from ops.payload_replay waiting
               where (waiting.system, waiting.stream, waiting.record_id) = (letter.system, letter.about, letter.record_id)
                 and waiting.ended_at is null) as is_waiting
from letter
left join lateral (
    select * from ops.dead_letter_edit made
    where made.dead_letter = letter.id and made.original_hash = letter.payload_hash
    order by edit_id desc limit 1) edit on true;
comment on view ops.dead_letter is
    'Effects refused or given up, records that could not be read, each with the newest correction of this very version.';

grant select, insert on ops.dead_letter_edit, ops.payload_replay to psflow_app;
grant update (ended_at, outcome) on ops.payload_replay to psflow_app;
grant select on ops.dead_letter to psflow_app;
