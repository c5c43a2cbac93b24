-- What happened to one engagement in every system, oldest first: what was done, by whom, and the values before and after.
-- reads: raw.record, core.*, billing.*, ops.*, finance.invoice; link_* names the record at its vendor
with mine as (
    select engagement.engagement_id, engagement.opportunity_id, project.project_code
    from core.engagement left join core.project using (engagement_id) where engagement_id = %(engagement)s
),
batch as (
    select batch.* from billing.batch
    where exists (select from billing.batch_line line join mine using (project_code) where line.batch_id = batch.batch_id)
),
deal as (  -- every version the CRM sent, beside the one before it
    select received_at, system, record_id, payload::jsonb as payload,
           lag(payload::jsonb) over (partition by system, record_id order by received_at) as earlier
    from raw.record join mine on (kind, record_id) = ('opportunity', opportunity_id)
    where payload is json object
),
hour as (  -- every version of an entry that ever was on the project
    select loaded_at, time_entry_id, version, now, lag(now) over (partition by time_entry_id order by version) as earlier
    from core.time_entry entry join core.time_load using (load_id)
    cross join lateral (select jsonb_build_object(
        'minutes', minutes, 'role', billed_role, 'day', worked_on, 'approved', is_approved, 'billable', is_billable,
        'project', project_code) as now) content
    where time_entry_id in (select time_entry_id from core.time_entry join mine using (project_code))
),
psa as (  -- who reads hours reads expenses, too
    select coalesce(min(system), 'psa') as system from ops.watermark where stream = 'time_entry'
)
select received_at as at, system, 'deal' as kind, case when earlier is null then 'deal received' else 'deal changed' end as what,
       record_id as subject,
       case when earlier is null then concat_ws(' · ', opportunity.name, customer.name,
                                                billing.money_text(opportunity.amount, opportunity.currency)) end as says,
       null as who, earlier as before, case when earlier is not null then payload end as after,
       'opportunity' as link_kind, record_id as link_id
from deal join core.opportunity on opportunity_id = record_id
join core.engagement using (opportunity_id) join core.customer using (customer_id)
union all
select loaded_at, psa.system, 'hours', 'hour edited', time_entry_id || ' version ' || version, null, null, earlier, now, null, null
from hour cross join psa where earlier is not null
union all
select changed_at, 'psflow', 'state', 'now ' || state, engagement_id || '.' || epoch, null, null, null, null, null, null
from ops.workflow join mine using (engagement_id)
union all
select registered_at, system, 'effect', 'effect registered', effect_key, replace(capability, '_', ' '), null, null, payload, null, null
from ops.effect join mine using (engagement_id)
union all
select audit.at, effect.system, 'effect', replace(action, '.', ' '), subject,
       concat_ws(' · ', 'try ' || (detail ->> 'attempt'), 'id ' || (detail ->> 'external_id'), effect.last_error),
       case action when 'effect.released' then actor end, null, null, split_part(capability, '_', 2), detail ->> 'external_id'
from ops.audit join ops.effect on effect_key = subject join mine using (engagement_id)
where action like 'effect.%%'
union all
select event.at, 'psflow', 'exception', 'exception ' || what, concat_ws(' ', '#' || exception_id, replace(rule, '_', ' '), replace(entity, '_', ' '), record_id),
       concat_ws(' · ', comment, case when what = 'opened' then 'owner ' || owner_team end,
                 case when what = 'opened' then 'fix: ' || fix end),
       nullif(who, 'psflow'), case when what = 'opened' then jsonb_build_object(field, value) end, null, null, null
from ops.exception_event event join ops.exception_age using (exception_id) join mine using (engagement_id)
union all
select loaded_at, psa.system, 'hours', 'hours loaded', 'load ' || load_id,
       count(*) || case count(*) when 1 then ' entry · ' else ' entries · ' end || round(sum(minutes) / 60.0, 2) || ' h',
       null, null, null, null, null
from core.time_entry join core.time_load using (load_id) join mine using (project_code) cross join psa
group by loaded_at, load_id, psa.system
union all
select loaded_at, psa.system, 'expenses', 'expenses loaded', 'load ' || load_id,
       count(*) || case count(*) when 1 then ' expense · ' else ' expenses · ' end
       || string_agg(concat_ws(' ', to_char(amount, 'FM999,999,999,990.00'), currency), ', ' order by expense_entry_id),
       null, null, null, null, null
from core.expense_entry join core.time_load using (load_id) join mine using (project_code) cross join psa
group by loaded_at, load_id, psa.system
union all
select frozen_at, 'psflow', 'batch', 'batch frozen', batch_id, 'now ' || state, null, null, null, null, null from batch
union all
select checked_at, 'psflow', 'gate', 'gate ' || verdict, suite || ' ' || batch_id,
       coalesce(detail, rows_checked || case rows_checked when 1 then ' row · ' else ' rows · ' end || rows_held || ' held · '
                        || checks || ' checks'),
       null, null, null, null, null
from ops.gate_run
where batch_id in (select batch_id from batch)
   or (suite like 'time_expense/%%' and batch_id in (select load_id::text from core.time_entry join mine using (project_code)
                                                  union select load_id::text from core.expense_entry join mine using (project_code)))
union all
select decided_at, 'psflow', 'approval',
       'batch ' || case when decision = 'rejected' then 'rejected' when step = 'submit' then 'submitted' else 'approved' end,
       batch_id, case when decision = 'rejected' then 'instead of ' || rtrim(step, 'e') || case step when 'submit' then 'ting' else 'ing' end end,
       person,
       null, null, null, null
from ops.approval where batch_id in (select batch_id from batch)
union all
select coalesce(drafted.settled_at, batch.frozen_at), coalesce(drafted.system, 'psflow'), 'invoice',
       case when drafted.settled_at is null then 'invoice planned' else 'invoice' end, invoice_key,
       concat_ws(' · ', billing.money_text(amount, currency), erp_number, erp_state), null, null, null, null, null
from finance.invoice join mine using (engagement_id) join billing.batch using (batch_id)
left join ops.effect drafted on drafted.batch_id = batch.batch_id and drafted.capability = 'draft_invoice'
    and drafted.payload ->> 'invoice_key' = invoice_key and drafted.state = 'done'
order by at, what, subject
