-- Dead letters that fit the filters, the newest first; a payload is of an engagement only when its exception says so.
select letter.*, count(*) over () as found
from ops.dead_letter letter
where case letter.kind when 'effect' then exists (select from seen_effect where effect_key = letter.id)
                       else letter.engagement_id is null
                            or exists (select from seen_engagement seen where seen.engagement_id = letter.engagement_id) end
  and (%(id)s::text is null or letter.id = %(id)s)
  and (%(system)s::text is null or letter.system = %(system)s)
  and (%(text)s::text is null or strpos(lower(letter.error), lower(%(text)s)) > 0)
order by given_up_at desc, letter.id
limit %(limit)s
