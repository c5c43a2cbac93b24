-- Keep the prices that psflow.yaml names, where they are new.
insert into billing.transfer_rule (lender, borrower, currency, price_kind, role, hourly_rate, factor_pct)
select distinct lender, borrower, currency, price_kind, role, hourly_rate, factor_pct
from jsonb_to_recordset(%(prices)s::jsonb)
    as said (lender text, borrower text, currency text, price_kind text, role text, hourly_rate numeric, factor_pct numeric)
on conflict do nothing
