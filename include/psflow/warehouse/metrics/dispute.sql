-- What customers do not accept of their invoices, with reason and owner, and how each dispute ended.
-- id:     dispute.v1
-- grain:  dispute
-- unit:   money in the invoice's currency
-- owner:  finance
-- source: billing.dispute, billing.dispute_end, billing.invoice, core.project
create or replace view finance.dispute as
select dispute.dispute_id, invoice.legal_entity_id, project.engagement_id, invoice.project_code, dispute.invoice_key,
       dispute.line_key, dispute.amount, dispute.currency, dispute.reason, dispute.owner, dispute.raised_by,
       dispute.raised_at, ended.outcome, ended.reason as outcome_reason, ended.decided_by, ended.decided_at,
       (select sum(amount) from billing.adjustment where adjustment_id = any (ended.adjustment_ids)) as credited
from billing.dispute
join billing.invoice using (invoice_key)
join core.project using (project_code)
left join billing.dispute_end ended using (dispute_id);
comment on column finance.dispute.dispute_id is 'Its number, as `psflow dispute` takes it.';
comment on column finance.dispute.legal_entity_id is 'The company of ours that invoiced.';
comment on column finance.dispute.engagement_id is 'The won deal.';
comment on column finance.dispute.project_code is 'The project.';
comment on column finance.dispute.invoice_key is 'Our reference on the invoice.';
comment on column finance.dispute.line_key is 'The line that is disputed; null: the invoice.';
comment on column finance.dispute.amount is 'What is disputed, in currency.';
comment on column finance.dispute.currency is 'Currency of the invoice.';
comment on column finance.dispute.reason is 'Why, as the customer said it.';
comment on column finance.dispute.owner is 'Person who settles it.';
comment on column finance.dispute.raised_by is 'Person of finance who noted it.';
comment on column finance.dispute.raised_at is 'When it was noted.';
comment on column finance.dispute.outcome is 'credited or rejected; null while it is open.';
comment on column finance.dispute.outcome_reason is 'Why it ended so.';
comment on column finance.dispute.decided_by is 'Person who ended it.';
comment on column finance.dispute.decided_at is 'When it ended.';
comment on column finance.dispute.credited is 'Sum of the credits that ended it, in currency; null without.';
