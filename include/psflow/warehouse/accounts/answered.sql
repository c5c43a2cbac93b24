-- The account answered: what was counted against it is over, and a probe closes its breaker. A row when the breaker changed.
with was as (
    select * from ops.account where system = %(system)s and instance = %(instance)s for update
),
changed as (
    update ops.account
    set breaker = 'closed', reason = '', failures = 0, probes = 0, throttles = 0, prober = null, next_probe_at = null,
        since = case was.breaker when 'closed' then was.since else clock_timestamp() end
    from was
    where (account.system, account.instance) = (was.system, was.instance) and was.breaker <> 'open'
    returning account.breaker, account.probes, was.breaker as before
)
select breaker, probes from changed where breaker <> before
