-- Deals whose activation is to start, may start again, or was stranded: their run ended (an outage) and nobody came.
select engagement_id, workflow.epoch,
       case when state <> 'blocked' and changed_at < clock_timestamp() - interval '1 hour' then 'stranded' else state end as state
from ops.workflow
join core.engagement using (engagement_id)
join core.opportunity using (opportunity_id)
where is_won and is_closed
  and (state in ('won', 'blocked') or (state = 'activating' and changed_at < clock_timestamp() - interval '1 hour'))
order by engagement_id, epoch
