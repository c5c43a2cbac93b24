-- Projects that come out at or below zero without what is held by now.
select project_code, currency, billing.round_money(sum(amount), currency) as amount
from billing.batch_content
where batch_id = %(batch)s
group by project_code, currency
having sum(amount) <= 0
order by project_code
