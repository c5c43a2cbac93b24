-- shadow: each billed line beside what the engine bills of the same entry, and why the two differ
-- grain:  billed line, or entry that nobody billed
-- unit:   amount in the currency of the bill, of the contract where there is no bill
-- reads:  shadow_billed, shadow_should, billing.passed_entry, core.time_entry_head, core.expense_entry_head
-- owner:  finance
with billed as (
    select *, row_number() over (partition by entry_key order by not is_final, billed_on, bill_id, line_id) as nth
    from shadow_billed
),
should as (
    select *, 1::bigint as nth from shadow_should
),
covered as (  -- how far a project is billed: the month of the last entry named, or the day of hours that name none
    select project_code, max(billed_at) as billed_at,
           greatest((date_trunc('month', max(worked_on)) + interval '1 month' - interval '1 day')::date,
                    max(billed_on) filter (where starts_with(entry_key, 'hours of '))) as to_day
    from shadow_billed group by project_code
),
side as (
    select coalesce(billed.entry_key, should.entry_key) as entry_key, nth, billed.line_id, billed.system, billed.bill_id,
           billed.is_final, billed.amount as billed_amount, billed.currency as billed_currency,
           billed.minutes as they_minutes, billed.billed_minutes as they_billed_minutes, billed.hourly_rate as they_rate,
           billed.fx_rate as they_fx, billed.rate_id as they_rate_id, billed.says as they_say, billed.billed_on,
           should.entry_key is not null as is_ours, should.source, should.amount as should_amount, should.currency,
           should.minutes, should.billed_minutes, should.hourly_rate, should.rate_id, should.fx_rate, should.markup_pct,
           should.whole_amount, should.over_amount, should.cap_id, should.lost_amount, should.reason, should.says,
           should.loaded_at, coalesce(billed.project_code, should.project_code) as project_code,
           coalesce(should.worked_on, billed.worked_on) as worked_on
    from billed full join should using (entry_key, nth)
),
judged as (
    select side.*, coalesce(worked_on <= covered.to_day, false) as is_covered,
           case
               when line_id is null and reason is not null then lower(split_part(reason, '_', 1))
               when line_id is null then case when loaded_at > covered.billed_at and worked_on <= covered.to_day
                   then 'late hour' else 'missing' end
               when nth > 1 and side.entry_key is not null then 'billed twice'
               when not is_ours and billed_amount = 0 then null
               when not is_ours then case when known.is_to_bill then 'out of scope' when known.entry_key is not null
                   then 'not billable' when head.state is not null then 'held' else 'unknown' end
               when billed_currency <> side.currency then 'fx'
               when billed_amount = should_amount then null
               when billed_amount is null then 'no amount'
               when reason is not null then lower(split_part(reason, '_', 1))
               when over_amount <> 0 then 'cap'
               when lost_amount <> 0 then 'decided'
               when source = 'time' and they_rate is distinct from hourly_rate then 'rate'
               when source = 'time' and they_minutes <> minutes then 'hours'
               when source = 'time' and they_billed_minutes <> side.billed_minutes then 'increment'
               when source = 'expense' and they_fx <> fx_rate then 'fx'
               when source = 'expense' then 'policy'
               when source = 'item' then 'item'
               else 'rounding' end as cause
    from side
    left join covered using (project_code)
    left join lateral (select entry_key, is_to_bill from billing.passed_entry passed
                       where not is_ours and passed.entry_key = side.entry_key) known on true
    left join lateral (select state from core.time_entry_head where not is_ours and time_entry_id = side.entry_key
                       union all
                       select state from core.expense_entry_head
                       where not is_ours and 'expense:' || expense_entry_id = side.entry_key limit 1) head on true
)
insert into shadow_compared
select project_code, coalesce(system, '-'), coalesce(bill_id, '-'), coalesce(line_id, entry_key), entry_key, worked_on,
       case when line_id is null then 0 else billed_amount end,
       case when is_ours and nth = 1 then should_amount else 0 end, coalesce(billed_currency, currency), cause,
       coalesce(is_final, true), is_covered,
       jsonb_strip_nulls(jsonb_build_object(
           'amount', billed_amount::text, 'currency', billed_currency, 'minutes', they_minutes,
           'billed_minutes', they_billed_minutes::text, 'hourly_rate', they_rate::text, 'rate_id', they_rate_id,
           'fx_rate', they_fx::text, 'says', nullif(they_say, ''), 'billed_on', billed_on)),
       case when is_ours then jsonb_strip_nulls(jsonb_build_object(
           'amount', should_amount::text, 'currency', currency, 'minutes', minutes,
           'billed_minutes', billed_minutes::text, 'hourly_rate', hourly_rate::text, 'rate_id', rate_id,
           'fx_rate', fx_rate::text, 'markup_pct', nullif(markup_pct, 0)::text, 'whole_amount', whole_amount::text,
           'over_cap', nullif(over_amount, 0)::text, 'cap_id', cap_id, 'decided_away', nullif(lost_amount, 0)::text,
           'reason', reason, 'says', says)) else '{}' end
from judged
where not (line_id is null and reason is null and coalesce(should_amount, 0) = 0)
