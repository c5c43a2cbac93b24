-- Which price is valid when.
insert into transfer_price
select rule.lender, rule.borrower, valid_from, valid_to, rule_id, rule.price_kind, rule.role, rule.hourly_rate, rule.factor_pct,
       rule.currency
from jsonb_to_recordset(%(prices)s::jsonb)
    as said (lender text, borrower text, currency text, price_kind text, role text, hourly_rate numeric, factor_pct numeric,
             valid_from date, valid_to date)
join billing.transfer_rule rule
    on (rule.lender, rule.borrower, rule.currency, rule.price_kind, rule.factor_pct, rule.role, rule.hourly_rate)
       is not distinct from
       (said.lender, said.borrower, said.currency::char(3), said.price_kind, said.factor_pct, said.role, said.hourly_rate)
