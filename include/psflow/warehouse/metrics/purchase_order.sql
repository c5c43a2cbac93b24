-- Purchase orders of customers and what is left of them: their amount less what stands invoiced and what an open batch takes.
-- id:     purchase_order.v1
-- grain:  purchase order
-- unit:   money in the contract's currency
-- owner:  finance
-- source: billing.purchase_order, billing.cap, billing.live_charge, billing.batch_content, billing.batch, core.contract
create or replace view finance.purchase_order as
select named.order_id, number, legal_entity_id, engagement_id, contract_id, contract_line, valid_from, valid_to, is_required,
       limit_amount as amount, coalesce(billed.amount, 0) as invoiced, coalesce(waiting.amount, 0) as in_batch,
       limit_amount - coalesce(billed.amount, 0) - coalesce(waiting.amount, 0) as balance, cap.currency
from billing.purchase_order named
join billing.cap using (cap_id)
join core.contract using (contract_id)
left join (
    select order_id, sum(amount) as amount from billing.live_charge where order_id is not null group by order_id
) billed on billed.order_id = named.order_id
left join (
    select order_id, sum(amount) as amount
    from billing.batch_content join billing.batch using (batch_id)
    where state in ('frozen', 'checked', 'submitted', 'approved') and order_id is not null
    group by order_id
) waiting on waiting.order_id = named.order_id;
comment on column finance.purchase_order.order_id is 'Contract, its line and the number, as charges name the order.';
comment on column finance.purchase_order.number is 'As the customer wrote it; it stands on the invoice line.';
comment on column finance.purchase_order.legal_entity_id is 'The company of ours that invoices.';
comment on column finance.purchase_order.engagement_id is 'The won deal.';
comment on column finance.purchase_order.contract_id is 'The contract it pays for.';
comment on column finance.purchase_order.contract_line is 'The contract line it pays for; null: all of the contract.';
comment on column finance.purchase_order.valid_from is 'First day of work it pays for.';
comment on column finance.purchase_order.valid_to is 'Last day of work it pays for; null: none is said.';
comment on column finance.purchase_order.is_required is 'Whether work on a day without an order waits.';
comment on column finance.purchase_order.amount is 'What it pays in all, in currency.';
comment on column finance.purchase_order.invoiced is 'What stands on invoices that count, credits taken off, in currency.';
comment on column finance.purchase_order.in_batch is 'What a batch that waits for people would add, in currency.';
comment on column finance.purchase_order.balance is 'What is left, in currency; below zero only when amount was lowered.';
comment on column finance.purchase_order.currency is 'Currency of the contract.';
