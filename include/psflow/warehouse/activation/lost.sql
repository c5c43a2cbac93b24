-- Deals that were started, are no longer won, and whose projects are not closed yet. One that is being closed is closed
-- to the end, whatever its deal says meanwhile.
select engagement_id, epoch
from ops.workflow
join core.engagement using (engagement_id, epoch)
join core.opportunity using (opportunity_id)
where state in ('activating', 'active') and (lost_at is not null or not (is_won and is_closed))
order by engagement_id
