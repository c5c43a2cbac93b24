-- Each lent hour as it was transferred, and what took it back; and the hours whose transfer waits, with what it lacks.
-- id:     intercompany_hour.v1
-- grain:  transfer or reversal of a lent hour; hour that waits
-- unit:   hours; money in the currency of the pair's price
-- owner:  finance
-- source: billing.transfer, billing.transfer_rule, billing.transfer_waiting
create or replace view finance.intercompany_hour as
select transfer.legal_entity_id as lender, partner_id as borrower, transfer_id, reverses, time_entry_id, version, project_code,
       resource_id, transfer.role, worked_on, accounting_on, minutes / 60.0 as hours, price_kind,
       round(basis * 60 / basis_minutes * fx_rate * transfer.factor_pct / 100, 4) as hourly_price, amount, transfer.currency,
       null::text as waits_for
from billing.transfer
join billing.transfer_rule using (rule_id)
where side = 'due_from'
union all
select lender, borrower, null, null, time_entry_id, version, project_code, null, null, worked_on, null, minutes / 60.0, null, null, null,
       null, lower(replace(reason, '_', ' '))
from billing.transfer_waiting;
comment on column finance.intercompany_hour.lender is 'The company of ours that employs the person; null: HR does not say which.';
comment on column finance.intercompany_hour.borrower is 'The company of ours that signed the contract.';
comment on column finance.intercompany_hour.transfer_id is 'The hour, its version, and .R for a reversal; null: it waits.';
comment on column finance.intercompany_hour.reverses is 'The transfer that is taken back.';
comment on column finance.intercompany_hour.time_entry_id is 'The hour as the PSA knows it.';
comment on column finance.intercompany_hour.version is 'The version of the hour that was transferred, or waits.';
comment on column finance.intercompany_hour.project_code is 'The project it was worked on.';
comment on column finance.intercompany_hour.resource_id is 'The person; null of what waits.';
comment on column finance.intercompany_hour.role is 'Role of the hour.';
comment on column finance.intercompany_hour.worked_on is 'Day of the work.';
comment on column finance.intercompany_hour.accounting_on is 'Day it counts in both books: the work, or the first day of the first month open in both.';
comment on column finance.intercompany_hour.hours is 'Hours; below zero in a reversal.';
comment on column finance.intercompany_hour.price_kind is 'rate, cost_plus or pct_of_bill.';
comment on column finance.intercompany_hour.hourly_price is 'What an hour of it comes to, in currency; to read, the amount is not worked out from it.';
comment on column finance.intercompany_hour.amount is 'Money in currency, rounded once.';
comment on column finance.intercompany_hour.currency is 'Currency of the pair''s price.';
comment on column finance.intercompany_hour.waits_for is 'employer missing or unknown, rule, rate, cost or fx missing, no bill, not billed; null: it is transferred.';
