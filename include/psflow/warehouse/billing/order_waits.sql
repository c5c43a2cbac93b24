-- What waits for a purchase order, by reason: of one that has too little left, else of a contract.
select reason, coalesce(order_id, contract.contract_id) as record_id, contract.contract_id, engagement_id, number,
       sum(left_out.amount) as amount, left_out.currency, min(worked_on) as since
from billing.left_out
join core.project using (project_code)
join core.contract using (engagement_id)
left join billing.purchase_order using (cap_id)
where left_out.legal_entity_id = %(entity)s and starts_with(reason, 'PURCHASE_ORDER')
group by reason, order_id, contract.contract_id, engagement_id, number, left_out.currency
order by record_id, reason
