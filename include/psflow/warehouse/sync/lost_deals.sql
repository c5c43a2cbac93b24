-- Close the gate exceptions of deals that were blocked and are lost since: nobody is to mend what will not start.
with reason as (select set_config('psflow.comment', 'deal lost', true))
update ops.exceptions exception set state = 'resolved', resolved_at = clock_timestamp()
from reason, core.engagement
join core.opportunity using (opportunity_id)
join ops.workflow using (engagement_id, epoch)
where exception.state = 'open' and exception.entity = 'engagement' and exception.rule = any(%(gates)s)
  and exception.record_id = engagement.engagement_id and workflow.state = 'blocked' and not (is_won and is_closed)
