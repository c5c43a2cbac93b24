-- The lines of a legal entity's bills that differ.
select line.*, project.engagement_id
from billing.shadow_line line
left join core.project using (project_code)
where legal_entity_id = %(entity)s and cause is not null
order by system, bill_id, line_id
