-- What work and expenses on cost-plus contracts of a legal entity cost, by month, in the contract's currency.
-- amount is null where a cost rate or an exchange rate is missing: never 0.
with spent as (
    select contract_id, entry.currency, worked_on, 'labour' as kind, minutes * cost.hourly_cost / 60 as amount,
           cost.currency as cost_currency
    from billing_passed entry
    left join core.cost_rate cost on cost.resource_id = entry.resource_id
        and worked_on >= cost.valid_from and (cost.valid_to is null or worked_on <= cost.valid_to)
    where source = 'time' and contract_type = 'cost_plus'
    union all
    select contract_id, currency, worked_on, 'expenses', cost - coalesce(recoverable_tax, 0), cost_currency
    from billing_passed
    where source = 'expense' and contract_type = 'cost_plus'
)
select contract_id, to_char(spent.worked_on, 'YYYY-MM') as month, kind,
       case when bool_and(amount is not null and rate is not null) then sum(amount * rate) end as amount
from spent
left join lateral (
    select case when cost_currency = currency then 1 else (
        select rate from core.fx_rate
        where (from_currency, to_currency) = (cost_currency, currency) and valid_on <= worked_on
        order by valid_on desc limit 1) end as rate) dated on true
group by contract_id, month, kind
