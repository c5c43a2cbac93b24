-- intercompany: what should be transferred less what was, in the books of both; counts of what was written
-- grain: lent hour or its reversal, once for the lender and once for the borrower
-- unit:  minutes; amount in the rule's currency, rounded once; dated the work, or the first day open in both books
-- reads: transfer_hour, billing.live_transfer, billing.transfer, core.period
-- owner: finance
with books as (  -- what was worked in a closed month counts on the first open day
    select legal_entity_id, max((period || '-01')::date + interval '1 month')::date as open_from
    from core.period where state <> 'open' group by legal_entity_id
),
line as (
    select hour.time_entry_id || '.' || hour.version || coalesce('~' || nullif(coalesce(before.seq, 0) + 1, 1), '') as transfer_id,
           'transfer' as kind, hour.lender, hour.borrower, hour.time_entry_id, hour.version, coalesce(before.seq, 0) + 1 as seq,
           hour.project_code, hour.resource_id, hour.role, hour.worked_on, hour.minutes, hour.rule_id, hour.basis,
           hour.basis_minutes, hour.basis_currency, hour.fx_rate, hour.factor_pct,
           billing.round_money(hour.minutes * hour.basis * hour.fx_rate * hour.factor_pct / (hour.basis_minutes * 100),
                               hour.currency) as amount, hour.currency
    from transfer_hour hour
    left join (select time_entry_id, version, max(seq) as seq from billing.transfer group by time_entry_id, version) before
        using (time_entry_id, version)
    where reason is null and not is_there
    union all
    select live.transfer_id || '.R', 'reversal', live.legal_entity_id, live.partner_id, live.time_entry_id, live.version, live.seq,
           live.project_code, live.resource_id, live.role, live.worked_on, -live.minutes, live.rule_id, live.basis,
           live.basis_minutes, live.basis_currency, live.fx_rate, live.factor_pct, -live.amount, live.currency
    from billing.live_transfer live
    left join transfer_hour hour using (time_entry_id)
    where side = 'due_from' and (hour.time_entry_id is null or hour.reason is null and not is_there)
),
made as (
    insert into billing.transfer (
        transfer_id, side, legal_entity_id, partner_id, kind, time_entry_id, version, seq, project_code, resource_id, role, worked_on,
        minutes, rule_id, basis, basis_minutes, basis_currency, fx_rate, factor_pct, amount, currency, accounting_on)
    select transfer_id, side, case side when 'due_from' then lender else borrower end,
           case side when 'due_from' then borrower else lender end, kind, time_entry_id, version, seq, project_code, resource_id,
           role, worked_on, minutes, rule_id, basis, basis_minutes, basis_currency, fx_rate, factor_pct, amount, currency,
           greatest(worked_on, of_lender.open_from, of_borrower.open_from)
    from line
    left join books of_lender on of_lender.legal_entity_id = lender
    left join books of_borrower on of_borrower.legal_entity_id = borrower
    cross join (values ('due_from'), ('due_to')) of_side (side)
    returning kind, side
)
select count(*) filter (where kind = 'transfer') as transferred, count(*) filter (where kind = 'reversal') as reversed,
       (select count(*) from transfer_hour where reason is not null) as waiting
from made where side = 'due_from'
