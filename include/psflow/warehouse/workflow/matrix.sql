-- How many engagements are in each stage and state, under the filters that are not stage and state.
select stage, state, count(*) as engagements
from seen_workflow
where (%(team)s::text is null or owner_team = %(team)s)
  and (%(q)s::text is null or strpos(lower(concat_ws(' ', engagement_id, name, customer_name, project_code)), lower(%(q)s)) > 0)
group by stage, state
