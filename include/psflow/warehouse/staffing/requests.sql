-- The demand of a deal that passed its gates: one request for each line that names a role. It follows the deal until a
-- project that carries it may be there; who was matched to a request that changed or is over is free again.
with asked as (
    select engagement.engagement_id || '.' || engagement.epoch || '.R' || row_number() over (order by line.line_id)
               as request_id,
           engagement.engagement_id, engagement.epoch, line.role, line.skills, contract.delivery_region as region,
           coalesce(line.starts_on, opportunity.starts_on) as starts_on,
           coalesce(line.ends_on, opportunity.ends_on) as ends_on, line.hours_per_day
    from core.engagement
    join core.opportunity using (opportunity_id)
    join core.contract using (engagement_id)
    join core.opportunity_line line using (opportunity_id)
    where engagement.engagement_id = %(engagement_id)s and line.role is not null and line.hours_per_day > 0
      and not exists (
          select from ops.effect where engagement_id = %(engagement_id)s and capability = 'create_project'
              and state <> 'refused' and effect_key = system || ':create_project:' || %(subject)s)
),
changed as (
    insert into core.resource_request as known (
        request_id, engagement_id, epoch, role, skills, region, starts_on, ends_on, hours_per_day)
    select * from asked
    on conflict (request_id) do update
    set role = excluded.role, skills = excluded.skills, region = excluded.region, starts_on = excluded.starts_on,
        ends_on = excluded.ends_on, hours_per_day = excluded.hours_per_day, state = 'open'
    where known.state = 'closed'
       or (known.role, known.skills, known.region, known.starts_on, known.ends_on, known.hours_per_day) is distinct from
          (excluded.role, excluded.skills, excluded.region, excluded.starts_on, excluded.ends_on, excluded.hours_per_day)
    returning request_id
),
gone as (
    update core.resource_request request set state = 'closed'
    from (select distinct engagement_id, epoch from asked) deal
    where (request.engagement_id, request.epoch) = (deal.engagement_id, deal.epoch) and state <> 'closed'
      and request_id not in (select request_id from asked)
    returning request_id
),
freed as (
    delete from core.assignment where request_id in (select request_id from changed union all select request_id from gone)
)
update ops.exceptions set state = 'resolved', resolved_at = clock_timestamp()
where state = 'open' and (rule, entity) = ('staffing', 'resource_request') and record_id in (select request_id from gone)
