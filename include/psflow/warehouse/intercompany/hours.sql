-- intercompany: what one company of ours should be owed by another, for every approved hour its people worked on its contracts
-- grain: lent hour, the version that passed its gate; reason: what its price lacks (waits, never 0)
-- unit:  minutes; basis in basis_currency for basis_minutes; fx_rate: currency for one of basis_currency
-- reads: core.time_entry_head, core.time_entry, core.employment, core.cost_rate, core.fx_rate, core.contract, billing.live_transfer,
--        transfer_company, transfer_employer, transfer_price, transfer_bill
-- owner: finance
with employed as (
    select resource_id, employer, valid_from, lead(valid_from) over (partition by resource_id order by valid_from) as valid_before
    from core.employment
),
hour as (
    select entry.time_entry_id, entry.version, entry.project_code, entry.resource_id, entry.billed_role as role, entry.worked_on,
           entry.minutes, entry.is_billable and contract.contract_type = 'time_and_materials' as has_bill,
           employed.employer, ours.legal_entity_id as lender, contract.legal_entity_id as borrower
    from core.time_entry_head head
    join core.time_entry entry on (entry.time_entry_id, entry.version) = (head.time_entry_id, head.passed_version)
    join core.project using (project_code)
    join core.contract using (engagement_id)
    join transfer_company borrows on borrows.legal_entity_id = contract.legal_entity_id
    left join employed on employed.resource_id = entry.resource_id and entry.worked_on >= employed.valid_from
        and (employed.valid_before is null or entry.worked_on < employed.valid_before)
    left join transfer_employer ours on ours.employer = employed.employer
    left join transfer_company lends on lends.legal_entity_id = ours.legal_entity_id
    where entry.is_approved and entry.minutes <> 0
      and entry.worked_on >= coalesce(greatest(borrows.starts_on, lends.starts_on), '-infinity')
      and ours.legal_entity_id is distinct from contract.legal_entity_id
),
priced as (  -- what is corrected keeps the price it was transferred at; another person, project, role or day is priced anew
    select hour.*, stands.transfer_id, stands.minutes as stands_minutes,
           coalesce(stands.rule_id, price.rule_id) as rule_id, price.price_kind,
           coalesce(stands.factor_pct, price.factor_pct) as factor_pct, coalesce(stands.currency, price.currency) as currency,
           coalesce(stands.basis, price.hourly_rate,
                    case price.price_kind when 'cost_plus' then cost.hourly_cost else nullif(abs(bill.amount), 0) end) as basis,
           coalesce(stands.basis_minutes, case price.price_kind when 'pct_of_bill' then abs(bill.minutes) else 60 end)
               as basis_minutes,
           coalesce(stands.basis_currency, case price.price_kind when 'rate' then price.currency
                                                                 when 'cost_plus' then cost.currency
                                                                 else bill.currency end) as basis_currency,
           stands.fx_rate
    from hour
    left join billing.live_transfer stands
        on stands.side = 'due_from' and stands.time_entry_id = hour.time_entry_id
        and (stands.legal_entity_id, stands.partner_id, stands.project_code, stands.resource_id, stands.role, stands.worked_on)
            is not distinct from (hour.lender, hour.borrower, hour.project_code, hour.resource_id, hour.role, hour.worked_on)
    left join transfer_price price
        on stands.transfer_id is null and (price.lender, price.borrower) = (hour.lender, hour.borrower)
        and hour.worked_on between coalesce(price.valid_from, '-infinity') and coalesce(price.valid_to, 'infinity')
        and (price.role is null or price.role = hour.role)
    left join core.cost_rate cost
        on price.price_kind = 'cost_plus' and cost.resource_id = hour.resource_id
        and hour.worked_on between cost.valid_from and coalesce(cost.valid_to, 'infinity')
    left join transfer_bill bill
        on price.price_kind = 'pct_of_bill' and bill.time_entry_id = hour.time_entry_id
        and (bill.project_code, bill.worked_on, bill.role, bill.minutes)
            = (hour.project_code, hour.worked_on, hour.role, hour.minutes)
),
day_rate as (  -- once a pair of currencies and day, not once an hour
    select wanted.*, dated.rate
    from (select distinct basis_currency, currency, worked_on from priced
          where fx_rate is null and basis_currency <> currency) wanted
    cross join lateral (
        select rate from core.fx_rate
        where (from_currency, to_currency) = (wanted.basis_currency, wanted.currency) and valid_on <= wanted.worked_on
        order by valid_on desc limit 1) dated
)
insert into transfer_hour
select time_entry_id, version, project_code, resource_id, role, worked_on, minutes, employer, lender, borrower, rule_id, basis,
       basis_minutes, basis_currency,
       coalesce(fx_rate, case when basis_currency = currency then 1 else day_rate.rate end), factor_pct, currency,
       minutes is not distinct from stands_minutes,
       case when employer is null then 'EMPLOYER_MISSING'
            when lender is null then 'EMPLOYER_UNKNOWN'
            when rule_id is null then
                case when exists (select from transfer_price other
                                  where (other.lender, other.borrower) = (priced.lender, priced.borrower)
                                    and worked_on between coalesce(other.valid_from, '-infinity')
                                                      and coalesce(other.valid_to, 'infinity')) then 'RATE_MISSING'
                     else 'RULE_MISSING' end
            when basis is null then case when price_kind = 'cost_plus' then 'COST_MISSING' when has_bill then 'NOT_BILLED'
                                         else 'NO_BILL' end
            when fx_rate is null and basis_currency <> currency and day_rate.rate is null then 'FX_MISSING' end
from priced
left join day_rate using (basis_currency, currency, worked_on)
