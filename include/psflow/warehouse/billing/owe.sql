-- What is owed of each entry: its worth less what stands and what was written off. What a credit takes back is charged
-- again as far as it was accepted, beyond any cap, since it was under it already; the rest is open from the next run on.
with stands as (
    select entry_key, component, sum(minutes) as minutes, sum(coalesce(billed_minutes, minutes)) as billed_minutes,
           sum(amount) as amount,
           max(coalesce(whole_minutes, minutes)) as whole_minutes,
           (array_agg(coalesce(whole_amount, amount) order by version desc, seq desc))[1] as whole_amount,
           max(hourly_rate) as hourly_rate, max(day_rate) as day_rate, max(hours_per_day) as hours_per_day,
           max(adjustment_id) filter (where fate = 'credited') as credit_id,
           sum(coalesce(billed_minutes, minutes)) filter (where fate = 'credited') as credited_minutes,
           sum(amount) filter (where fate = 'credited') as credited_amount,
           case when count(order_id) = count(*) and min(order_id) = max(order_id) then max(order_id) end as order_id
    from billing_live where fate in ('stays', 'credited')
    group by entry_key, component
),
lost as (  -- of a part that is none any more it counts for the other
    select adjustment.entry_key, coalesce(work.component, other.component) as component, sum(adjustment.minutes) as minutes,
           sum(adjustment.amount) as amount
    from billing.adjustment
    left join billing_work work using (entry_key, component)
    left join billing_work other on work.entry_key is null and other.entry_key = adjustment.entry_key
    where kind = 'write_off'
    group by 1, 2
),
again as (  -- what was accepted of one payer's part on a document that was cancelled, as it was
    select entry_key, component, adjustment_id, sum(minutes) as minutes, sum(coalesce(billed_minutes, minutes)) as billed_minutes,
           sum(amount) as amount
    from (select distinct on (entry_key, component, version, seq, payer_id) * from billing.void_charge void
          where adjustment_id is not null and kind = 'charge'
            and not exists (select from billing.counted_charge done
                            where (done.adjustment_id, done.entry_key, done.component)
                                  = (void.adjustment_id, void.entry_key, void.component)
                              and done.payer_id is not distinct from void.payer_id)
          order by entry_key, component, version, seq, payer_id, issue desc) void
    group by entry_key, component, adjustment_id
),
rest as not materialized (  -- few are credited
    select work.entry_key, work.component, work.minutes, coalesce(stands.whole_minutes, work.whole_minutes) as whole_minutes,
           coalesce(stands.whole_amount, work.whole_amount) as whole_amount,
           coalesce(stands.hourly_rate, work.hourly_rate) as hourly_rate,
           case when stands.hourly_rate is null then work.day_rate else stands.day_rate end as day_rate,
           coalesce(stands.hours_per_day, work.hours_per_day) as hours_per_day, work.currency, work.source, stands.credit_id,
           stands.credited_minutes, stands.credited_amount,
           coalesce(stands.minutes, 0) as stands_minutes, coalesce(stands.billed_minutes, 0) as stands_billed,
           coalesce(stands.amount, 0) as stands_amount, coalesce(lost.minutes, 0) as lost_minutes,
           coalesce(lost.amount, 0) as lost_amount, credit.minutes as credit_minutes, credit.amount as credit_amount,
           case when stands.credit_id is not null
                then exists (select from billing.counted_charge done where done.adjustment_id = stands.credit_id) end as is_in_part,
           coalesce(again.minutes, 0) as again_minutes, coalesce(again.billed_minutes, 0) as again_billed,
           coalesce(again.amount, 0) as again_amount,
           stands.entry_key is null as is_new, stands.order_id as stands_under
    from billing_work work
    left join stands using (entry_key, component)
    left join lost using (entry_key, component)
    left join billing.adjustment credit on credit.adjustment_id = stands.credit_id
    left join again on (again.entry_key, again.component, again.adjustment_id) = (work.entry_key, work.component, stands.credit_id)
    where stands.entry_key is not null
       or work.reason is null and not exists (select from billing_live waits
                                              where waits.entry_key = work.entry_key and fate = 'waits')
),
owed as (
    select entry_key, component, whole_minutes, whole_amount, hourly_rate, day_rate, hours_per_day, is_new, stands_under,
           minutes - stands_minutes - round(lost_minutes) as minutes,
           whole_minutes - stands_billed - lost_minutes as billed_minutes,
           whole_amount - stands_amount - lost_amount as amount, null::bigint as adjustment_id
    from rest where credit_id is null
    union all
    select entry_key, component, whole_minutes, whole_amount, hourly_rate, day_rate, hours_per_day, false, stands_under,
           trunc(minutes * (credited_minutes - credit_minutes) / whole_minutes), credited_minutes - credit_minutes,
           case source when 'time' then billing.round_money(
                    billing.worth(credited_minutes - credit_minutes, hourly_rate, day_rate, hours_per_day), currency)
                else credited_amount - credit_amount end,
           credit_id
    from rest where credit_id is not null and not is_in_part
    union all
    select entry_key, component, whole_minutes, whole_amount, hourly_rate, day_rate, hours_per_day, false, stands_under,
           again_minutes, again_billed, again_amount, credit_id
    from rest where credit_id is not null and is_in_part
    offset 0  -- or an amount would be worked out as often as it is named below
)
insert into billing_owed
select entry_key, component, whole_minutes, whole_amount, hourly_rate, day_rate, hours_per_day, minutes, billed_minutes, amount,
       amount, adjustment_id, stands_under, case when adjustment_id is not null then stands_under end
from owed
where sign(amount) = sign(whole_amount) and (amount <> 0 or is_new)
