-- A cap with room again, and nothing over it, needs nobody.
update ops.exceptions set state = 'resolved', resolved_at = clock_timestamp()
where state = 'open' and rule = 'billing' and entity = 'cap' and record_id <> all(%(caps)s)
