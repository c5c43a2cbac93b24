-- What happened to one engagement in every system, oldest first: what was done, by whom, what was there before and after.
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
edited as (
    select received_at as at, system, 'deal changed' as what, record_id as subject, earlier, payload as now, 'opportunity' as link
    from deal where earlier is not null
    union all
    select loaded_at, 'psa', 'hour edited', time_entry_id || ' version ' || version, earlier, now, null
    from hour where earlier is not null
),
difference as (
    select edited.*, was, became
    from edited cross join lateral (
        select string_agg(key || ' ' || coalesce(earlier ->> key, '–'), ', ' order by key) as was,
               string_agg(key || ' ' || coalesce(now ->> key, '–'), ', ' order by key) as became
        from (select jsonb_object_keys(earlier) as key union select jsonb_object_keys(now)) keys
        where earlier -> key is distinct from now -> key
          and key not in ('attributes', 'SystemModstamp', 'LastModifiedDate', 'LastModifiedById')) fields
    where was is not null
)
select received_at as at, system, 'deal' as kind, 'deal received' as what, record_id as subject,
       concat_ws(' · ', opportunity.name, customer.name,
                 to_char(opportunity.amount, 'FM999,999,999,990.00') || ' ' || opportunity.currency) as says,
       null as who, null as was, null as became, 'opportunity' as link_kind, record_id as link_id
from deal join core.opportunity on opportunity_id = record_id
join core.engagement using (opportunity_id) join core.customer using (customer_id)
where earlier is null
union all
select at, system, case link when 'opportunity' then 'deal' else 'hours' end, what, subject, null, null, was, became, link,
       case link when 'opportunity' then subject end
from difference
union all
select changed_at, 'psflow', 'state', 'now ' || state, engagement_id || '.' || epoch, null, null, null, null, null, null
from ops.workflow join mine using (engagement_id)
union all
select registered_at, system, 'effect', 'effect registered', effect_key, replace(capability, '_', ' '), null, null,
       (select string_agg(key || ' ' || value, ', ' order by key) from jsonb_each_text(payload)
        where key not in ('lines', 'street', 'city', 'notes') and value is not null), null, null
from ops.effect join mine using (engagement_id)
union all
select audit.at, effect.system, 'effect', replace(action, '.', ' '), subject,
       concat_ws(' · ', 'try ' || (detail ->> 'attempt'), 'id ' || (detail ->> 'external_id'), effect.last_error),
       null, null, null, split_part(capability, '_', 2), detail ->> 'external_id'
from ops.audit join ops.effect on effect_key = subject join mine using (engagement_id)
where action like 'effect.%%'
union all
select event.at, 'psflow', 'exception', 'exception ' || what, '#' || exception_id || ' ' || rule || ' ' || entity || ' ' || record_id,
       concat_ws(' · ', comment, case when what = 'opened' then 'owner ' || owner_team end,
                 case when what = 'opened' then 'fix: ' || fix end),
       nullif(who, 'psflow'), case when what = 'opened' then field || ' ' || coalesce(value, '–') end, null, null, null
from ops.exception_event event join ops.exception_age using (exception_id) join mine using (engagement_id)
union all
select loaded_at, 'psa', 'hours', 'hours loaded', 'load ' || load_id,
       count(*) || ' entries · ' || round(sum(minutes) / 60.0, 2) || ' h', null, null, null, null, null
from core.time_entry join core.time_load using (load_id) join mine using (project_code)
group by loaded_at, load_id
union all
select loaded_at, 'psa', 'expenses', 'expenses loaded', 'load ' || load_id,
       count(*) || ' expenses · ' || string_agg(concat_ws(' ', to_char(amount, 'FM999,999,999,990.00'), currency), ', '
                                                order by expense_entry_id),
       null, null, null, null, null
from core.expense_entry join core.time_load using (load_id) join mine using (project_code)
group by loaded_at, load_id
union all
select frozen_at, 'psflow', 'batch', 'batch frozen', batch_id, 'now ' || state, null, null, null, null, null from batch
union all
select checked_at, 'psflow', 'gate', 'gate ' || verdict, suite || ' ' || batch_id,
       coalesce(detail, rows_checked || ' rows · ' || rows_held || ' held · ' || checks || ' checks'),
       null, null, null, null, null
from ops.gate_run
where batch_id in (select batch_id from batch)
   or (suite like 'time_expense/%%' and batch_id in (select load_id::text from core.time_entry join mine using (project_code)
                                                  union select load_id::text from core.expense_entry join mine using (project_code)))
union all
select decided_at, 'psflow', 'approval', step || ' ' || decision, batch_id, null, airflow_user || ' (' || person || ')',
       null, null, null, null
from ops.approval where batch_id in (select batch_id from batch)
union all
select batch.frozen_at, 'erp', 'invoice', 'invoice', invoice_key,
       concat_ws(' · ', to_char(amount, 'FM999,999,999,990.00') || ' ' || currency, erp_number, erp_state),
       null, null, null, null, null
from finance.invoice join mine using (engagement_id) join billing.batch using (batch_id)
order by at, what, subject
