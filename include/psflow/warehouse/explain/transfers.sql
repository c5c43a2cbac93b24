-- What our companies owe each other for one hour, each transfer with what took it back; and whether one waits, and for what.
select lent.lender, lent.borrower, lent.transfer_id, lent.price_kind, lent.role, lent.amount, lent.currency,
       to_char(lent.accounting_on, 'YYYY-MM') as month, lent.waits_for, made.factor_pct, made.basis, made.basis_minutes,
       made.basis_currency, made.fx_rate, to_char(back.accounting_on, 'YYYY-MM') as taken_back_in
from finance.intercompany_hour lent
left join billing.transfer made on (made.transfer_id, made.side) = (lent.transfer_id, 'due_from')
left join finance.intercompany_hour back on back.reverses = lent.transfer_id
where lent.time_entry_id = %(entry)s and lent.reverses is null
order by lent.transfer_id nulls last
