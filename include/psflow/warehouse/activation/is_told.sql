-- Whether somebody has been told already why a deal does not go on.
select exists (
    select from ops.exceptions
    where state = 'open' and rule = any(%(rules)s) and engagement_id = %(engagement_id)s and entity <> 'activation')
