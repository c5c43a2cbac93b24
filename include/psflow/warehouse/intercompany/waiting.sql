-- Hours that wait, by pair, month of the work and what they lack; all months without one.
select lender, borrower, to_char(worked_on, 'YYYY-MM') as month, sum(hours) as hours, waits_for
from finance.intercompany_hour
where waits_for is not null and to_char(worked_on, 'YYYY-MM') = coalesce(%(period)s, to_char(worked_on, 'YYYY-MM'))
group by lender, borrower, month, waits_for
order by month, lender, borrower, waits_for
