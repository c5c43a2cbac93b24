-- Verdicts, newest first, with how many of their rows were new, known before, and are fixed since.
with judged as (
    select gate.*, count(*) over () as found
    from seen_gate gate
    where (%(suite)s::text is null or suite = %(suite)s)
      and (%(verdict)s::text is null or verdict = %(verdict)s)
      and (%(batch)s::text is null or batch_id = %(batch)s)
    order by gate_id desc
    limit %(limit)s
)
select judged.*, coalesce(new, 0) as new, coalesce(known, 0) as known, coalesce(fixed, 0) as fixed
from judged
left join (
    select gate_id, count(*) filter (where not is_known) as new, count(*) filter (where is_known) as known,
           count(*) filter (where is_fixed) as fixed
    from seen_failing where gate_id in (select gate_id from judged)
    group by gate_id
) failing using (gate_id)
order by gate_id desc
