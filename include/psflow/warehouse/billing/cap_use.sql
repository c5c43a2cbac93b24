-- Each cap that is near or at its limit, and what waits over it, of this legal entity and of the others.
select cap.cap_id, cap.level, cap.scope_id, cap.limit_amount, cap.currency, room.used,
       coalesce(over.amount, 0) as over_amount, contract.engagement_id
from billing.cap
join billing_room room using (cap_id)
left join (select cap_id, sum(amount) as amount from billing.left_out where reason = 'over_cap' group by cap_id) over
    using (cap_id)
left join core.contract on cap.level in ('contract', 'entry') and contract.contract_id = cap.scope_id
where level <> 'order' and (room.used >= cap.limit_amount * cap.warn_at_pct / 100 or over.amount > 0)
order by cap.cap_id
