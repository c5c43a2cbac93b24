-- What one vendor account can take: its rate budget and its circuit breaker.

create table ops.account (
    system text not null,
    instance text not null,
    breaker text not null default 'closed' check (breaker in ('closed', 'open', 'half-open')),
    since timestamptz not null default clock_timestamp(),
    reason text not null default '',
    opened_by text,
    failures integer not null default 0,
    failing_since timestamptz,
    probes integer not null default 0,
    next_probe_at timestamptz,
    prober text,
    throttles integer not null default 0,
    paused_until timestamptz not null default '-infinity',
    busy_until timestamptz not null default '-infinity',
    primary key (system, instance),
    check (breaker <> 'half-open' or prober is not null)
) with (fillfactor = 50);  -- every call updates its row in place
comment on table ops.account is 'One login at one vendor, as all processes share it: may it be asked now, and how fast.';
comment on column ops.account.breaker is
    'closed: calls go out; open: none does; half-open: one process tries, and its outcome closes or opens it.';
comment on column ops.account.opened_by is 'The person who opened it; only a person closes it then.';
comment on column ops.account.failures is 'Failures in a row since failing_since; an answer ends the row.';
comment on column ops.account.probes is 'Failed probes in a row: each doubles the wait for the next.';
comment on column ops.account.next_probe_at is 'When one call may try an open account, or another may replace a prober; null: never.';
comment on column ops.account.throttles is 'Throttled answers in a row, without those of one pause.';
comment on column ops.account.busy_until is 'When all calls let out so far are paid for at the budget''s steady rate.';

grant select, insert, update on ops.account to psflow_app;
