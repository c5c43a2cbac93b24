-- billing: what an hour costs from which day on, of all that the hours of a run ask
-- grain:  question, overtime's own prices or not, first day
-- reads:  billing_passed, core.rate, core.agreed_rate
-- owner:  finance
with question as (
    select distinct on (asks) asks, rate_card_id, role, currency, customer_id, contract_id, contract_line, resource_id, place
    from billing_passed
    where source = 'time' and is_by_itself
),
offered as materialized (
    select *, case specificity when 'person' then resource_id else role end as who,
           case specificity when 'role+region' then region else '' end as place,
           array_position(%(levels)s::text[], level) * 100 + array_position(%(specificity)s::text[], specificity) as rank
    from core.agreed_rate
),
ranked as (
    select distinct level, specificity from offered where rank is not null
),
asked as materialized (  -- every question once a kind of price, so that each finds its own by equality
    select asks, role, level, specificity, currency, question.place as region,
           case level when 'contract_line' then contract_line when 'contract' then contract_id
                      when 'customer' then customer_id else '*' end as scope_id,
           case specificity when 'person' then resource_id else role end as who,
           case specificity when 'role+region' then question.place else '' end as place
    from question
    cross join ranked
),
candidate as materialized (
    select asks, concat_ws('|', rate.rate_card_id, rate.role, rate.valid_from) as rate_id, rate.hourly_rate,
           null::numeric as day_rate, null::numeric as hours_per_day, false as is_overtime, rate.valid_from, rate.valid_to,
           array_position(%(levels)s::text[], 'standard') * 100 + array_position(%(specificity)s::text[], 'role') as rank
    from question
    join core.rate using (rate_card_id, role)
    union all
    select asks, rate_id, hourly_rate, day_rate, hours_per_day, is_overtime, valid_from, valid_to, rank
    from asked
    join offered using (level, specificity, currency, scope_id, who, place)
    where coalesce(offered.role = asked.role, offered.role is null)
      and coalesce(offered.region = asked.region, offered.region is null)
),
bound as (  -- a price may change on these days, and on no other
    select asks, is_overtime, day, lead(day) over (partition by asks, is_overtime order by day) as day_after
    from (select asks, is_overtime, valid_from as day from candidate
          union
          select asks, is_overtime, valid_to + 1 from candidate where valid_to is not null) day
)
insert into billing_rate
select distinct on (asks, is_overtime, day) asks, is_overtime, day, day_after, rate_id, hourly_rate, day_rate, hours_per_day,
       count(*) over (partition by asks, is_overtime, day, rank)
from bound
join candidate using (asks, is_overtime)
where rank is not null and day >= valid_from and (valid_to is null or day <= valid_to)
order by asks, is_overtime, day, rank
