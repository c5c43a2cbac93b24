-- Approved billable hours and expenses, these at cost, that stand on no invoice, by project and reason.
-- id:     unbilled.v1
-- grain:  project x reason
-- unit:   hours; money in the contract's currency; days
-- owner:  finance
-- source: finance.unbilled_entry
create or replace view finance.unbilled as
select legal_entity_id, engagement_id, project_code, reason, currency, count(*) as entries, sum(hours) as hours,
       sum(amount) as amount, count(*) filter (where amount is null) as entries_without_amount,
       min(worked_on) as oldest_on, max(age_days) as age_days
from finance.unbilled_entry
group by legal_entity_id, engagement_id, project_code, reason, currency;
comment on column finance.unbilled.legal_entity_id is 'The company of ours that invoices.';
comment on column finance.unbilled.engagement_id is 'The won deal.';
comment on column finance.unbilled.project_code is 'The project; null gathers what is on no project of ours.';
comment on column finance.unbilled.reason is 'no rate, held, credit, late or waiting batch; see finance.unbilled_entry.';
comment on column finance.unbilled.currency is 'Currency of the contract.';
comment on column finance.unbilled.entries is 'Number of entries.';
comment on column finance.unbilled.hours is 'Hours to bill less hours invoiced.';
comment on column finance.unbilled.amount is 'Money in currency, of the entries that have an amount; null when none has.';
comment on column finance.unbilled.entries_without_amount is 'Number of entries whose money nobody can say yet; not in amount.';
comment on column finance.unbilled.oldest_on is 'Day of the oldest work.';
comment on column finance.unbilled.age_days is 'Calendar days since the oldest work.';
