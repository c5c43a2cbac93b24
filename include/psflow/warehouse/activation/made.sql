-- The effects that make something for one epoch of a deal, by state when one is named.
select * from ops.effect
where engagement_id = %(engagement_id)s and batch_id is null
  and capability in ('create_project', 'request_resource', 'assign_resource', 'update_opportunity')
  and starts_with(split_part(effect_key, ':', 3) || '.', %(engagement_id)s || '.' || %(epoch)s || '.')
  and state = coalesce(%(state)s, state)
order by registered_at desc, effect_key
