-- A new batch with every line of every project that comes out above zero; no row when there is none.
with line as (
    select difference.*, sum(amount) over (partition by project_code) as project_amount
    from billing_difference difference
    where kind <> 'unrated'
),
batch as (
    insert into billing.batch (batch_id, legal_entity_id, period, number, invoiced_on)
    select concat_ws('.', %(entity)s::text, %(period)s::text, number), %(entity)s, %(period)s, number, %(on)s::date
    from (select coalesce(max(number), 0) + 1 as number from billing.batch
          where legal_entity_id = %(entity)s and period = %(period)s) next
    where exists (select from line where project_amount > 0)
    returning batch_id
),
frozen as (
    insert into billing.batch_line (
        batch_id, charge_id, kind, time_entry_id, version, project_code, worked_on, role, minutes, hourly_rate, amount,
        currency)
    select batch_id, charge_id, kind, time_entry_id, version, project_code, worked_on, role, minutes, hourly_rate, amount,
           currency
    from line cross join batch
    where project_amount > 0
)
select batch_id from batch
