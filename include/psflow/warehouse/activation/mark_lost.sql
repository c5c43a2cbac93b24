-- From now on nothing more is created for this epoch; returns the day it was found lost. No row when it is not lost.
update ops.workflow
set lost_at = coalesce(lost_at, clock_timestamp())
from core.engagement join core.opportunity using (opportunity_id)
where (workflow.engagement_id, workflow.epoch) = (%(engagement_id)s, %(epoch)s)
  and engagement.engagement_id = workflow.engagement_id
  and state in ('activating', 'active') and (lost_at is not null or not (is_won and is_closed))
returning lost_at::date
