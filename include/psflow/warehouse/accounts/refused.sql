-- The vendor refuses our credentials: the breaker opens at once. A row when it did.
with was as (
    select *, clock_timestamp() as at from ops.account where system = %(system)s and instance = %(instance)s for update
),
changed as (
    update ops.account
    set breaker = 'open', reason = %(reason)s, since = at, prober = null, probes = was.probes + (was.breaker = 'half-open')::int,
        next_probe_at = at + make_interval(secs => least(%(longest_wait_s)s, %(wait_s)s * 2.0 ^ least(was.probes + (was.breaker = 'half-open')::int, 20)))
    from was
    where (account.system, account.instance) = (was.system, was.instance) and was.breaker <> 'open'
    returning account.breaker, account.probes, was.breaker as before
)
select breaker, probes from changed where breaker <> before
