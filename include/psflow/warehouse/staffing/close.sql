-- The demand of a deal that was compensated is over; who was sent is free again after `ends_on`.
with over as (
    update core.resource_request set state = 'closed'
    where engagement_id = %(engagement_id)s and epoch = %(epoch)s and state <> 'closed'
    returning request_id
),
freed as (
    delete from core.assignment
    where request_id in (select request_id from over) and (not is_confirmed or starts_on > %(ends_on)s)
),
ended as (
    update core.assignment set ends_on = %(ends_on)s, modified_at = clock_timestamp()
    where request_id in (select request_id from over) and is_confirmed
      and starts_on <= %(ends_on)s and ends_on > %(ends_on)s
)
update ops.exceptions set state = 'resolved', resolved_at = clock_timestamp()
where state = 'open' and (rule, entity) = ('staffing', 'resource_request') and record_id in (select request_id from over)
