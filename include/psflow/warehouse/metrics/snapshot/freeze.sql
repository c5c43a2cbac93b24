-- Freeze finance.metric if one of its numbers is another than in the last snapshot; the snapshot that holds them as they are.
with live as materialized (
    select metric, grain, value, unit from finance.metric
),
last as materialized (
    select snapshot_id from finance.snapshot order by snapshot_id desc limit 1
),
known as (
    select metric, grain, value, unit from finance.metric_snapshot join last using (snapshot_id)
),
made as (
    insert into finance.snapshot (as_of)
    select %(as_of)s::date
    where exists (select from live)
      and exists ((table live except table known) union all (table known except table live))
    returning snapshot_id
),
frozen as (
    insert into finance.metric_snapshot (snapshot_id, metric, grain, value, unit)
    select snapshot_id, metric, grain, value, unit from live cross join made
)
select snapshot_id from made
union all
select snapshot_id from last where not exists (select from made)
