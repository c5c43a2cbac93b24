-- The vendor has had enough of us: the whole account rests, as long as it says, else twice as long as the last time. It
-- answered, so a probe closes the breaker. A row when that changed it.
with was as (
    select *, clock_timestamp() as at, paused_until > clock_timestamp() as is_paused
    from ops.account where system = %(system)s and instance = %(instance)s for update
),
changed as (
    update ops.account
    set throttles = was.throttles + (not is_paused)::int,  -- several calls under way meet one refusal
        paused_until = greatest(was.paused_until, at + make_interval(secs => case
            when %(asked_s)s::float is not null then %(asked_s)s
            when is_paused then 0
            else least(%(longest_pause_s)s, %(pause_s)s * 2.0 ^ least(was.throttles, 20)) end)),
        reason = %(reason)s, failures = 0, probes = 0, prober = null, next_probe_at = null, breaker = 'closed',
        since = case was.breaker when 'closed' then was.since else at end
    from was
    where (account.system, account.instance) = (was.system, was.instance) and was.breaker <> 'open'
    returning account.breaker, account.probes, was.breaker as before
)
select breaker, probes from changed where breaker <> before
