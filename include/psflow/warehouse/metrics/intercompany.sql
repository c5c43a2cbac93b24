-- What our companies owe each other for lent hours, as each of the two has it in its books: the difference must be 0.
-- id:     intercompany.v1
-- grain:  lender x borrower x currency x month in which it counts
-- unit:   hours; money in the currency of the pair's price
-- owner:  finance
-- source: billing.transfer
create or replace view finance.intercompany as
select lender, borrower, currency, month,
       coalesce(sum(minutes) filter (where side = 'due_from'), 0) / 60.0 as hours,
       coalesce(sum(amount) filter (where side = 'due_from'), 0) as due_from,
       coalesce(sum(amount) filter (where side = 'due_to'), 0) as due_to,
       coalesce(sum(amount) filter (where side = 'due_from'), 0) - coalesce(sum(amount) filter (where side = 'due_to'), 0)
           as difference
from (
    select transfer.*, to_char(accounting_on, 'YYYY-MM') as month,
           case side when 'due_from' then legal_entity_id else partner_id end as lender,
           case side when 'due_from' then partner_id else legal_entity_id end as borrower
    from billing.transfer) side
group by lender, borrower, currency, month;
comment on column finance.intercompany.lender is 'The company of ours that employs the people; it is owed.';
comment on column finance.intercompany.borrower is 'The company of ours that signed the contracts; it owes.';
comment on column finance.intercompany.currency is 'Currency of the pair''s price.';
comment on column finance.intercompany.month is 'Month in which it counts, YYYY-MM: of the work, or the first that was open in both books.';
comment on column finance.intercompany.hours is 'Lent hours, less those taken back.';
comment on column finance.intercompany.due_from is 'Money in currency: what the lender''s books say it is owed; its revenue, eliminated in the group.';
comment on column finance.intercompany.due_to is 'Money in currency: what the borrower''s books say it owes; its cost, eliminated in the group.';
comment on column finance.intercompany.difference is 'due_from less due_to; must be 0.';
