-- What an epoch made is closed: it is over.
update ops.workflow set state = 'compensated', changed_at = clock_timestamp()
where (engagement_id, epoch) = (%(engagement_id)s, %(epoch)s) and state in ('activating', 'active')
