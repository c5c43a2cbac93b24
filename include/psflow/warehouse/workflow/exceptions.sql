-- The exceptions that fit the filters, the most urgent first; a filter that is null is not asked.
select exception.*, deal.name, count(*) over () as found
from seen_exception exception
left join core.engagement on engagement.engagement_id = exception.engagement_id
left join core.opportunity deal using (opportunity_id)
where exception.state = %(state)s
  and (%(team)s::text is null or exception.owner_team = %(team)s)
  and (%(rule)s::text is null or exception.rule = %(rule)s)
  and (%(engagement)s::text is null or exception.engagement_id = %(engagement)s)
  and (%(assignee)s::text is null or coalesce(exception.assignee, 'nobody') = %(assignee)s)
  and (%(currency)s::text is null or exception.currency = %(currency)s)
  and (not %(overdue)s or exception.is_overdue)
  and (%(older)s::numeric is null or exception.age_business_days >= %(older)s)
order by exception.is_overdue desc, exception.due_at, exception.exception_id
limit %(limit)s
