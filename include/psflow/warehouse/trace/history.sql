-- What happened to one engagement, oldest first.
-- reads: core.*, billing.*, ops.workflow, ops.effect, ops.audit, ops.exceptions, ops.approval, ops.gate_run, finance.*
with invoice as (
    select invoice.* from billing.invoice join core.project using (project_code) where engagement_id = %(engagement)s
)
select (select min(received_at) from raw.record where (kind, record_id) = ('opportunity', deal.opportunity_id)) as at,
       'deal won' as what, deal.opportunity_id as subject,
       concat_ws(' · ', deal.name, customer.name, to_char(deal.amount, 'FM999,999,999,990.00') || ' ' || deal.currency) as says
from core.engagement join core.opportunity deal using (opportunity_id) join core.customer using (customer_id)
where engagement_id = %(engagement)s
union all
select changed_at, 'now ' || state, engagement_id || '.' || epoch, null from ops.workflow where engagement_id = %(engagement)s
union all
select registered_at, 'effect registered', effect_key, null from ops.effect where engagement_id = %(engagement)s
union all
select audit.at, replace(action, '.', ' '), subject,
       concat_ws(' · ', 'try ' || (detail ->> 'attempt'), 'id ' || (detail ->> 'external_id'), effect.last_error)
from ops.audit join ops.effect on effect_key = subject where engagement_id = %(engagement)s
union all
select opened_at, 'exception ' || state, rule || ' ' || entity || ' ' || record_id,
       concat_ws(' · ', message, 'owner ' || owner_team, 'fix: ' || fix)
from ops.exceptions exception
where exception.engagement_id = %(engagement)s
   or (entity = 'time_entry' and exists (
        select from core.time_entry entry join core.project using (project_code)
        where entry.time_entry_id = exception.record_id and project.engagement_id = %(engagement)s))
union all
select loaded_at, 'hours loaded', 'load ' || load_id,
       count(*) || ' entries · ' || round(sum(minutes) / 60.0, 2) || ' h'
from core.time_entry join core.time_load using (load_id) join core.project using (project_code)
where engagement_id = %(engagement)s group by loaded_at, load_id
union all
select batch.frozen_at, 'batch frozen', batch.batch_id, 'now ' || batch.state
from billing.batch
where exists (select from billing.batch_line line join core.project using (project_code)
              where line.batch_id = batch.batch_id and engagement_id = %(engagement)s)
union all
select checked_at, 'gate ' || verdict, suite || ' ' || batch_id,
       coalesce(detail, rows_checked || ' rows · ' || rows_held || ' held · ' || checks || ' checks')
from ops.gate_run where batch_id in (select batch_id from invoice)
union all
select decided_at, step || ' ' || decision, batch_id, airflow_user || ' (' || person || ')'
from ops.approval where batch_id in (select batch_id from invoice)
union all
select batch.frozen_at, 'invoice', invoice_key, concat_ws(' · ', to_char(amount, 'FM999,999,999,990.00') || ' ' || currency, erp_number, erp_state)
from finance.invoice join billing.batch using (batch_id) where invoice_key in (select invoice_key from invoice)
order by at, what, subject
