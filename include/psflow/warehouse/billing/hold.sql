-- Hold the entries that failed, and all of a project that comes out at or below zero without them.
with failing as (
    select unnest(%(failing)s::text[]) as time_entry_id
),
sunk as (
    select project_code
    from billing.batch_line
    where batch_id = %(batch)s
    group by project_code
    having coalesce(sum(amount) filter (where time_entry_id <> all(%(failing)s)), 0) <= 0
)
insert into billing.batch_hold (batch_id, time_entry_id)
select %(batch)s, time_entry_id from failing
union
select %(batch)s, time_entry_id from billing.batch_line join sunk using (project_code) where batch_id = %(batch)s
