-- Projects of which an invoice is below or at zero: a credit, which waits (an exception says so) unless it was decided.
select project_code, currency, billing.round_money(sum(amount), currency) as amount
from (select project_code, payer_id, currency, sum(amount) as amount
      from billing_difference
      where kind <> 'unrated'
      group by project_code, payer_id, currency
      having sum(amount) = 0 or sum(amount) < 0 and not bool_or(adjustment_id is not null)) invoice
group by project_code, currency
order by project_code
