-- What takes a person before hours are transferred, once a person, pair, role or exchange rate. What is not billed yet takes none.
select reason, record_id, round(sum(minutes) / 60.0, 2) as hours, min(worked_on) as since, min(employer) as employer, min(role) as role,
       min(lender) as lender, min(borrower) as borrower, min(basis_currency) as basis_currency, min(currency) as currency
from (
    select *, case when reason in ('EMPLOYER_MISSING', 'EMPLOYER_UNKNOWN', 'COST_MISSING') then resource_id
                   when reason = 'FX_MISSING' then basis_currency || ' to ' || currency
                   else lender || ' for ' || borrower || case reason when 'RATE_MISSING' then coalesce(' ' || role, '')
                                                                     when 'NO_BILL' then ' by its bill' else '' end end as record_id
    from transfer_hour where reason <> 'NOT_BILLED') waiting
group by reason, record_id
order by reason, record_id
