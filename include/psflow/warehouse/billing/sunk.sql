-- Projects that come out at or below zero without what is held by now, and not by a credit that was decided.
select project_code, currency, billing.round_money(sum(amount), currency) as amount
from billing.batch_content
where batch_id = %(batch)s
group by project_code, currency
having sum(amount) = 0 or sum(amount) < 0 and not bool_or(adjustment_id is not null)
order by project_code
