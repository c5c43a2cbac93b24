-- Controls of a version that are not what is answered now.
with now as (
    select control, count(*) as records, encode(sha256(convert_to(string_agg(
               row(record_id, unit, left_value, right_value)::text, e'\n' order by record_id collate "C", unit collate "C"),
               'UTF8')), 'hex') as content_hash
    from close_answer group by control
),
sums as (
    select control, jsonb_object_agg(unit, ops.sum_text(total, unit)) as sums
    from (select control, unit, coalesce(sum(left_value), 0) as total from close_answer group by control, unit) by_unit
    group by control
)
select signed.control, signed.records as was_records, coalesce(now.records, 0) as records, signed.sums as was_sums,
       coalesce(sums.sums, '{}') as sums
from ops.close_control signed
left join now using (control)
left join sums using (control)
where signed.close_id = %(close)s
  and (signed.records, signed.sums, signed.content_hash) is distinct from
      (coalesce(now.records, 0)::integer, coalesce(sums.sums, '{}'), now.content_hash)
order by signed.control
