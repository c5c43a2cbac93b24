-- What is open by team: how many, how many are overdue or nobody's, the oldest, and the money at risk by currency.
-- A record that is wrong in two ways is worth its money once.
with open as (
    select * from seen_exception where state = 'open'
),
money as (
    select owner_team, jsonb_agg(jsonb_build_array(amount::text, currency) order by currency) as at_risk
    from (select owner_team, currency, sum(amount) as amount
          from (select owner_team, currency, entity, record_id, max(amount_at_risk) as amount from open
                where currency is not null group by owner_team, currency, entity, record_id) by_record
          group by owner_team, currency) by_currency
    group by owner_team
)
select owner_team, count(*) as exceptions, count(*) filter (where is_overdue) as overdue,
       count(*) filter (where assignee is null) as unassigned, max(age_business_days) as oldest,
       coalesce(any_value(at_risk), '[]') as at_risk
from open left join money using (owner_team)
group by owner_team
order by count(*) filter (where is_overdue) desc, count(*) desc, owner_team
