-- Each control with count, sums and hash of what it answered.
with sums as (
    select control, jsonb_object_agg(unit, ops.sum_text(total, unit)) as sums
    from (select control, unit, coalesce(sum(left_value), 0) as total from close_answer group by control, unit) by_unit
    group by control
)
select control, count(*) as records, sums,
       encode(sha256(convert_to(string_agg(row(record_id, unit, left_value, right_value)::text, e'\n'
                                           order by record_id collate "C", unit collate "C"), 'UTF8')), 'hex') as content_hash,
       count(says) as breaks
from close_answer join sums using (control)
group by control, sums
order by control
