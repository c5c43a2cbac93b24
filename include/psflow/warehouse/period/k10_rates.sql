-- Every billed hour and expense of the month, priced again from its rate, exchange rate and policy: the difference is 0.
-- grain: charge or reversal of an hour or expense that counts in the month; what a contract's terms bill is not in it
-- unit:  the charge's currency; left: as billed, right: priced again
with charged as (
    select charge.* from billing.counted_charge charge join billing.batch using (batch_id)
    where legal_entity_id = %(entity)s and source <> 'item'
      and coalesce(accounting_on, worked_on) between %(start)s and %(end)s
),
priced as (
    select charged.*, round(coalesce(agreed.hourly_rate, card.hourly_rate) * coalesce(multiplier, 1), 4) as rate_now,
           round(agreed.day_rate * coalesce(multiplier, 1), 4) as day_rate_now, agreed.hours_per_day as hours_now,
           coalesce(agreed.currency, rate_card.currency) as rate_currency,
           charged.worked_on between coalesce(agreed.valid_from, card.valid_from)
               and coalesce(agreed.valid_to, card.valid_to, 'infinity') as is_of_day,
           before.amount as reversed_amount
    from charged
    left join core.agreed_rate agreed on agreed.rate_id = charged.rate_id
    left join core.overtime on overtime.overtime_id = charged.overtime_id and component = 'overtime'
    left join core.project using (project_code)
    left join core.rate card on agreed.rate_id is null
        and case when charged.rate_id is not null
                 then concat_ws('|', card.rate_card_id, card.role, card.valid_from) = charged.rate_id
                 else (card.rate_card_id, card.role) = (project.rate_card_id, charged.role)
                      and charged.worked_on between card.valid_from and coalesce(card.valid_to, 'infinity') end
    left join core.rate_card on rate_card.rate_card_id = card.rate_card_id
    left join billing.charge before on before.charge_id = charged.reverses
),
again as (
    select *, case when kind = 'reversal' then -reversed_amount
                   when source = 'time' and split_id is not null and billing.is_worth(amount, worth_now, currency) then amount
                   when source = 'time' then billing.round_money(worth_now, currency)
                   when abs(amount) < abs(whole_amount) then amount
                   else billing.round_money(
                       coalesce(billable_cost, cost) * fx_rate * (1 + coalesce(markup_pct, 0) / 100), currency) end as amount_again
    from priced
    cross join lateral (
        select billing.worth(coalesce(billed_minutes, minutes), rate_now, day_rate_now, hours_now) as worth_now) told
)
select 'charge ' || charge_id as record_id, currency as unit, amount as left_value, amount_again as right_value,
       case when kind = 'charge' and source = 'time' and rate_now is null then 'its rate is gone'
            when kind = 'charge' and source = 'time' and not is_of_day then 'its rate is not of its day'
            when kind = 'charge' and source = 'time' and rate_currency <> currency then 'its rate is in ' || rate_currency
            when amount is distinct from amount_again then 'priced again it is another amount' end as says,
       null::jsonb as detail
from again
