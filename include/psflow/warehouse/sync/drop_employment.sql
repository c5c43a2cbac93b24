-- Employments of a person that HR no longer has.
delete from core.employment where resource_id = %(resource_id)s and valid_from <> all(%(days)s::date[])
