-- What these teams were not told yet: new, overdue (once an opening), or over; the oldest first.
with opened as (
    select exception_id, count(*)::int as occurrence
    from ops.exception_event where what in ('opened', 'reopened') group by exception_id
),
told as (
    select exception_id, occurrence, min(team) as team, bool_or(event = 'escalated') as escalated,
           bool_or(event = 'resolved') as resolved
    from ops.alert group by exception_id, occurrence
),
found as (
    select exception.*, occurrence, told.exception_id is not null as is_told,
           case when exception.state <> 'open' then coalesce(told.team, owner_team) else owner_team end as team,
           case when exception.state <> 'open' then 'resolved'
                when exception.due_at < now() then 'escalated' else 'new' end as event,
           coalesce(told.escalated, false) as escalated, coalesce(told.resolved, false) as resolved
    from ops.exceptions exception
    join opened using (exception_id)
    left join told using (exception_id, occurrence)
)
select exception_id, event, occurrence, team, rule, entity, record_id, field, message, fix, state, due_at,
       amount_at_risk, currency, billing.money_text(amount_at_risk, currency) as money
from found
where team = any(%(teams)s)
  and case event when 'new' then not is_told when 'escalated' then not escalated else is_told and not resolved end
order by team, opened_at, exception_id
