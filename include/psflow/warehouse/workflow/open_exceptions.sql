-- Open what is new, count what is known, open again what was resolved, or waived for another value; how many opened.
-- Money at risk is what the finding says, else what the record is worth: the deal, the invoice, the hours at their rate, the
-- expense at cost.
with given as (
    select distinct on (rule, entity, record_id, field) finding.*
    from rows from (jsonb_to_recordset(%(findings)s::jsonb) as (
        rule text, entity text, record_id text, field text, value text, message text, engagement_id text,
        owner_team text, fix text, due_days numeric, amount_at_risk numeric, currency text)) with ordinality as finding
    order by rule, entity, record_id, field, ordinality desc
),
worth as (
    select given.rule, given.entity, given.record_id, given.field, given.value, given.message,
           coalesce(given.engagement_id, spent.engagement_id) as engagement_id,
           given.owner_team, given.fix, given.due_days, coalesce(given.amount_at_risk, deal.amount, invoice.amount, hours.amount, spent.amount) as worth,
           case when given.amount_at_risk is not null then given.currency when deal.amount is not null then deal.currency
                when invoice.amount is not null then invoice.currency when hours.amount is not null then hours.currency
                else spent.currency end as worth_currency
    from given
    left join core.engagement on given.entity = 'engagement' and engagement.engagement_id = given.record_id
    left join core.opportunity deal on deal.opportunity_id = engagement.opportunity_id and deal.currency is not null
    left join billing.invoice on given.entity = 'invoice' and invoice.invoice_key = given.record_id
    left join lateral (
        select billing.round_money(minutes * hourly_rate / 60, project.currency) as amount, project.currency
        from core.time_entry_head head
        join core.time_entry entry on (entry.time_entry_id, entry.version) = (head.time_entry_id, head.latest_version)
        join core.project using (project_code)
        join core.rate on rate.rate_card_id = project.rate_card_id and rate.role = entry.billed_role
            and worked_on >= valid_from and (valid_to is null or worked_on <= valid_to)
        where given.entity = 'time_entry' and head.time_entry_id = given.record_id) hours on true
    left join lateral (
        select case when entry.currency ~ '^[A-Z]{3}$' then amount end as amount,
               case when entry.currency ~ '^[A-Z]{3}$' and amount is not null then entry.currency end as currency,
               engagement_id
        from core.expense_entry_head head
        join core.expense_entry entry on (entry.expense_entry_id, entry.version) = (head.expense_entry_id, head.latest_version)
        left join core.project using (project_code)
        where given.entity = 'expense_entry' and head.expense_entry_id = given.record_id
    ) spent on true
),
before as (
    select exception_id from ops.exceptions known join given using (rule, entity, record_id, field) where known.state = 'open'
),
found as (
    insert into ops.exceptions as known (rule, entity, record_id, field, value, message, engagement_id, owner_team, fix,
                                         due_at, amount_at_risk, currency)
    select rule, entity, record_id, field, value, message, engagement_id, owner_team, fix,
           ops.business_due(clock_timestamp(), due_days), worth, worth_currency
    from worth
    on conflict (rule, entity, record_id, field) do update
    set seen = known.seen + 1, last_seen_at = clock_timestamp(),
        state = ops.exception_again(known, excluded.value, excluded.message),
        opened_at = case known.state when ops.exception_again(known, excluded.value, excluded.message)
                                     then known.opened_at else clock_timestamp() end,
        due_at = case known.state when ops.exception_again(known, excluded.value, excluded.message)
                                  then known.due_at else excluded.due_at end,
        resolved_at = null,
        value = excluded.value, message = excluded.message, owner_team = excluded.owner_team, fix = excluded.fix,
        engagement_id = coalesce(excluded.engagement_id, known.engagement_id),
        amount_at_risk = excluded.amount_at_risk, currency = excluded.currency
    returning exception_id, state
)
select count(*) from found where state = 'open' and exception_id not in (select exception_id from before)
