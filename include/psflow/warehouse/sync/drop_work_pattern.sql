-- Patterns of a person the planner no longer has.
delete from core.work_pattern where resource_id = %(resource_id)s and valid_from <> all(%(days)s::date[])
