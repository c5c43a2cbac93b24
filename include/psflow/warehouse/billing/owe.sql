-- What is owed of each entry: its worth less what stands and what was written off. What a credit takes back is charged
-- again as far as it was accepted, beyond any cap, since it was under it already; the rest is open from the next run on.
with stands as (
    select entry_key, sum(minutes) as minutes, sum(coalesce(billed_minutes, minutes)) as billed_minutes, sum(amount) as amount,
           max(coalesce(whole_minutes, minutes)) as whole_minutes,
           (array_agg(coalesce(whole_amount, amount) order by version desc, seq desc))[1] as whole_amount,
           max(hourly_rate) as hourly_rate, max(adjustment_id) filter (where fate = 'credited') as credit_id
    from billing_live where fate in ('stays', 'credited')
    group by entry_key
),
lost as (
    select entry_key, sum(minutes) as minutes, sum(amount) as amount
    from billing.adjustment where kind = 'write_off' group by entry_key
),
rest as (
    select work.entry_key, work.minutes, coalesce(stands.whole_minutes, work.whole_minutes) as whole_minutes,
           coalesce(stands.whole_amount, work.whole_amount) as whole_amount,
           coalesce(stands.hourly_rate, work.hourly_rate) as hourly_rate, work.currency, work.source, stands.credit_id,
           coalesce(stands.minutes, 0) as stands_minutes, coalesce(stands.billed_minutes, 0) as stands_billed,
           coalesce(stands.amount, 0) as stands_amount, coalesce(lost.minutes, 0) as lost_minutes,
           coalesce(lost.amount, 0) as lost_amount, credit.minutes as credit_minutes, credit.amount as credit_amount,
           stands.entry_key is null as is_new
    from billing_work work
    left join stands using (entry_key)
    left join lost using (entry_key)
    left join billing.adjustment credit on credit.adjustment_id = stands.credit_id
    where stands.entry_key is not null
       or work.reason is null and not exists (select from billing_live waits
                                              where waits.entry_key = work.entry_key and fate = 'waits')
),
owed as (
    select entry_key, whole_minutes, whole_amount, hourly_rate, is_new,
           minutes - stands_minutes - round(lost_minutes) as minutes,
           whole_minutes - stands_billed - lost_minutes as billed_minutes,
           whole_amount - stands_amount - lost_amount as amount, null::bigint as adjustment_id
    from rest where credit_id is null
    union all
    select entry_key, whole_minutes, whole_amount, hourly_rate, false,
           trunc(minutes * (stands_billed - credit_minutes) / whole_minutes), stands_billed - credit_minutes,
           case source when 'time' then billing.round_money((stands_billed - credit_minutes) * hourly_rate / 60, currency)
                else stands_amount - credit_amount end,
           credit_id
    from rest where credit_id is not null
)
insert into billing_owed
select entry_key, whole_minutes, whole_amount, hourly_rate, minutes, billed_minutes, amount, amount, adjustment_id
from owed
where sign(amount) = sign(whole_amount) and (amount <> 0 or is_new)
