-- A new batch with every line of every project that comes out above zero; no row when there is none.
-- The lines of one entry go together or not at all: an hour that moved to another project is not charged there while
-- its reversal waits.
with line as (
    select * from billing_difference where kind <> 'unrated'
),
sunk as (
    select project_code from line group by project_code having sum(amount) <= 0
),
waiting as (
    select distinct time_entry_id from line join sunk using (project_code)
),
billable as (
    select project_code
    from line
    where time_entry_id not in (select time_entry_id from waiting)
    group by project_code
    having sum(amount) > 0
),
kept as (
    select line.*
    from line
    join billable using (project_code)
    where time_entry_id not in (select time_entry_id from waiting)
      and not exists (select from line other
                      where other.time_entry_id = line.time_entry_id
                        and other.project_code not in (select project_code from billable))
),
batch as (
    insert into billing.batch (batch_id, legal_entity_id, period, number, invoiced_on)
    select concat_ws('.', %(entity)s::text, %(period)s::text, number), %(entity)s, %(period)s, number, %(on)s::date
    from (select coalesce(max(number), 0) + 1 as number from billing.batch
          where legal_entity_id = %(entity)s and period = %(period)s) next
    where exists (select from kept)
    returning batch_id
),
frozen as (
    insert into billing.batch_line (
        batch_id, charge_id, kind, time_entry_id, version, project_code, worked_on, role, minutes, hourly_rate, amount,
        currency)
    select batch_id, charge_id, kind, time_entry_id, version, project_code, worked_on, role, minutes, hourly_rate, amount,
           currency
    from kept cross join batch
)
select batch_id from batch
