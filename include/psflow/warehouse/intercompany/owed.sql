-- What is owed, by pair, currency and month; all months without one.
select * from finance.intercompany
where month = coalesce(%(period)s, month)
order by month, lender, borrower, currency
