-- A call found the account down. The breaker opens after so many in a row, or when a probe fails. A row when it did.
with was as (
    select *, clock_timestamp() as at,
           case when failing_since > clock_timestamp() - make_interval(secs => %(window_s)s) then failures else 0 end as before_this
    from ops.account where system = %(system)s and instance = %(instance)s for update
),
changed as (
    update ops.account
    set failures = before_this + 1, failing_since = case before_this when 0 then at else was.failing_since end,
        (breaker, reason, since, probes, prober, next_probe_at) = (
            select 'open', %(reason)s, at, was.probes + (was.breaker = 'half-open')::int, null,
                   at + make_interval(secs => least(%(longest_wait_s)s, %(wait_s)s * 2.0 ^ least(was.probes + (was.breaker = 'half-open')::int, 20)))
            where was.breaker = 'half-open' or before_this + 1 >= %(failures)s
            union all
            select 'closed', %(reason)s, was.since, was.probes, null, null
            where was.breaker = 'closed' and before_this + 1 < %(failures)s)
    from was
    where (account.system, account.instance) = (was.system, was.instance) and was.breaker <> 'open'
    returning account.breaker, account.probes, was.breaker as before
)
select breaker, probes from changed where breaker <> before
