-- Invoices that are below or at zero: a credit, which waits (an exception says so) unless it was decided. One of several payers
-- waits alone, but not under a hard cap or a purchase order: what it is to give back is room there that others take.
select project_code, payer_id, line.currency, billing.round_money(sum(amount), line.currency) as amount,
       case when bool_or(split_id is not null)
                 and not exists (select from billing.purchase_order where purchase_order.contract_id = contract.contract_id)
                 and not exists (select from billing.cap
                                 where on_excess <> 'warn'
                                   and (level in ('line', 'customer_on_line')
                                        or scope_id in (contract.contract_id, project.customer_id)))
            then min(payer.name) end as payer
from billing_difference line
join core.project using (project_code)
join core.contract using (engagement_id)
join core.customer payer on payer.customer_id = coalesce(payer_id, project.customer_id)
where kind <> 'unrated'
group by project_code, payer_id, line.currency, contract.contract_id, project.customer_id
having sum(amount) = 0 or sum(amount) < 0 and not bool_or(adjustment_id is not null)
order by project_code, payer_id nulls first
