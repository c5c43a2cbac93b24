-- Let one call of an account out, or say why not: a token bucket written as the time at which what was let out is paid for.
-- `burst` tokens may go at once and one more every `token_s`; a pause is an empty bucket until its end. No row: unknown account.
with fast as materialized (
    select set_config('synchronous_commit', 'off', true)  -- a token lost with the server's last moment harms nobody
),
asked as (
    select account.*, clock_timestamp() as asked_at
    from ops.account, fast
    where system = %(system)s and instance = %(instance)s
    for update of account
),
judged as (
    select asked.*, turn, greatest(0, extract(epoch from turn - span - asked_at))::float as wait_s,
           breaker <> 'closed' and prober is distinct from %(me)s
               and (next_probe_at is null or next_probe_at > asked_at) as is_shut
    from asked
    cross join lateral (select make_interval(secs => (%(burst)s - %(cost)s) * %(token_s)s::float) as span) bucket
    cross join lateral (select greatest(busy_until, asked_at, paused_until + span) as turn) next
),
taken as (
    update ops.account
    set busy_until = judged.turn + make_interval(secs => %(cost)s * %(token_s)s::float),
        breaker = case judged.breaker when 'closed' then 'closed' else 'half-open' end,
        prober = case when judged.breaker <> 'closed' then %(me)s end,
        next_probe_at = case when judged.breaker <> 'closed'
                             then asked_at + make_interval(secs => judged.wait_s + %(probe_s)s::float) end
    from judged
    where (account.system, account.instance) = (judged.system, judged.instance)
      and not is_shut and judged.wait_s <= %(patience_s)s
    returning account.breaker
)
select taken.breaker is not null as is_admitted, is_shut, wait_s, reason, since, opened_by, paused_until > asked_at as is_paused,
       extract(epoch from next_probe_at - asked_at)::float as probe_in_s,
       failures > 0 or throttles > 0 or judged.breaker <> 'closed' as is_watched
from judged left join taken on true
