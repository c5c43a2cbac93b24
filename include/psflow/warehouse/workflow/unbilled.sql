-- What is not billed of what was worked, with its age and why it waits; what is over a cap waits for room under it.
with waiting as (
    select kind, source_id, engagement_id, legal_entity_id, project_code, worked_on, reason, hours, amount, currency,
           age_days, batch_id
    from finance.unbilled_entry
    union all
    select source, case source when 'expense' then substr(entry_key, 9) else entry_key end, engagement_id,
           legal_entity_id, project_code, worked_on, 'over cap',
           round(coalesce(minutes, 0) / 60.0, 4), amount, out.currency, current_date - worked_on, null
    from billing.left_out out join core.project using (project_code)
    where reason = 'over_cap'
),
told as (
    select distinct on (entity, record_id) entity, record_id, exception_id, message
    from ops.exceptions where state = 'open' and entity in ('time_entry', 'expense_entry')
    order by entity, record_id, exception_id desc
),
seen_unbilled as (
    select waiting.*, exception_id, message as why,
           case when age_days <= 30 then 'to 30' when age_days <= 60 then 'to 60' when age_days <= 90 then 'to 90'
                else 'over 90' end as age
    from waiting
    left join told on (told.entity, told.record_id) = (kind || '_entry', source_id)
    where %(entities)s::text[] is null or legal_entity_id is null or legal_entity_id = any (%(entities)s)
)
