-- The engagements that fit the filters, those that need somebody first; a filter that is null is not asked.
select *, count(*) over () as found
from seen_workflow
where (%(stage)s::text is null or stage = %(stage)s)
  and (%(state)s::text is null or state = %(state)s)
  and (%(team)s::text is null or owner_team = %(team)s)
  and (%(q)s::text is null or strpos(lower(concat_ws(' ', engagement_id, name, customer_name, project_code)), lower(%(q)s)) > 0)
order by array_position('{blocked,held,waiting,running,done,closed}', state), since, engagement_id
limit %(limit)s
