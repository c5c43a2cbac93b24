-- Projects of which an invoice comes out at or below zero without what is held by now, and not by a credit that was decided.
select project_code, currency, billing.round_money(sum(amount), currency) as amount
from (select project_code, payer_id, currency, sum(amount) as amount
      from billing.batch_content
      where batch_id = %(batch)s
      group by project_code, payer_id, currency
      having sum(amount) = 0 or sum(amount) < 0 and not bool_or(adjustment_id is not null)) invoice
group by project_code, currency
order by project_code
