-- What one company of ours is owed for lent hours, the other owes: due-from equals due-to, hour by hour and in sum.
-- grain: lender, borrower and currency, of the legal entity on either side; left: due-from in the lender's books, right: due-to
-- unit:  the transfers' currency; detail says how many hours of the month wait for a price
with side as (
    select transfer.*, case side when 'due_from' then legal_entity_id else partner_id end as lender,
           case side when 'due_from' then partner_id else legal_entity_id end as borrower
    from billing.transfer
    where accounting_on between %(start)s and %(end)s and made_at <= %(as_of)s
      and %(entity)s in (legal_entity_id, partner_id)
),
hour as (
    select lender, borrower, currency, transfer_id, sum(amount) filter (where side = 'due_from') as due_from,
           sum(amount) filter (where side = 'due_to') as due_to
    from side group by lender, borrower, currency, transfer_id
),
pair as (
    select lender, borrower, currency, count(*) as hours, coalesce(sum(due_from), 0) as due_from, coalesce(sum(due_to), 0) as due_to,
           count(*) filter (where due_from is distinct from due_to) as differing,
           min(transfer_id) filter (where due_from is distinct from due_to) as first_of_them
    from hour group by lender, borrower, currency
)
select lender || ' for ' || borrower as record_id, currency as unit, due_from as left_value, due_to as right_value,
       case when differing > 0 then differing || ' transfers are not the same in both books, the first is ' || first_of_them end as says,
       jsonb_build_object('transfers', hours, 'hours that wait', coalesce((
           select round(sum(minutes) / 60.0, 2) from billing.transfer_waiting waiting
           where (waiting.lender, waiting.borrower) = (pair.lender, pair.borrower)
             and worked_on between %(start)s and %(end)s), 0)) as detail
from pair
