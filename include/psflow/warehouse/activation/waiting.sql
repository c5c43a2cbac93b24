-- Deals whose activation is to start, may start again, or was stranded: their run ended (an outage) and nobody came.
select engagement_id, workflow.epoch,
       case when state <> 'blocked' and changed_at < clock_timestamp() - interval '1 hour' then 'stranded' else state end as state
from ops.workflow
join core.engagement using (engagement_id)
join core.opportunity using (opportunity_id)
where is_won and is_closed and lost_at is null
  and (state in ('won', 'blocked') or (state = 'activating' and changed_at < clock_timestamp() - interval '1 hour'))
union all  -- lost, closed, and won again: its next epoch
select engagement_id, epoch + 1, 'won'
from ops.workflow
join core.engagement using (engagement_id, epoch)
join core.opportunity using (opportunity_id)
where is_won and is_closed and lost_at is not null and state = 'compensated'
order by engagement_id, epoch
