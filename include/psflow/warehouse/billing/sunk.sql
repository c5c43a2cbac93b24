-- Projects that come out at or below zero once their failing entries are held: all of them is held.
select project_code, currency,
       coalesce(sum(amount) filter (where time_entry_id <> all(%(failing)s)), 0) as amount
from billing.batch_line
where batch_id = %(batch)s
group by project_code, currency
having coalesce(sum(amount) filter (where time_entry_id <> all(%(failing)s)), 0) <= 0
   and bool_or(time_entry_id <> all(%(failing)s))
order by project_code
