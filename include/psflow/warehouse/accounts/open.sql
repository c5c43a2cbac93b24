-- A person opens a breaker: no call tries until a person closes it.
update ops.account
set breaker = 'open', reason = %(reason)s, opened_by = %(person)s, since = clock_timestamp(), prober = null, next_probe_at = null
where system = %(system)s and instance = %(instance)s
