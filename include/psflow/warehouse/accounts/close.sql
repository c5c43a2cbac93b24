-- A person closes a breaker: calls go out at once, whatever was counted against the account.
update ops.account
set breaker = 'closed', reason = '', opened_by = null, failures = 0, probes = 0, throttles = 0, prober = null,
    next_probe_at = null, paused_until = '-infinity', since = case breaker when 'closed' then since else clock_timestamp() end
where system = %(system)s and instance = %(instance)s
