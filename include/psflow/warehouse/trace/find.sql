-- Which engagements an id belongs to, whoever gave it, and what kind of id it is.
with asked as (
    select %(id)s::text as id, substring(%(id)s from '^#?([0-9]{1,18})$')::bigint as number
),
found as (
select 'engagement' as kind, engagement_id from asked join core.engagement on id = engagement_id
union
select 'deal', engagement_id from asked join core.engagement on id in (opportunity_id, left(opportunity_id, 15))
union
select 'run of activation', engagement_id from asked join ops.workflow on id = engagement_id || '.' || epoch
union
select 'customer', engagement_id from asked join core.engagement on id = customer_id
union
select 'project', engagement_id from asked join core.project on id = project_code
union
select 'time entry', engagement_id
from asked join core.time_entry on id = time_entry_id join core.project using (project_code)
union
select 'expense', engagement_id
from asked join core.expense_entry on id = expense_entry_id join core.project using (project_code)
union
select 'billing batch', engagement_id
from asked join billing.batch_line on id = batch_id join core.project using (project_code)
union
select 'run of billing', engagement_id
from asked join ops.approval on id = run_id join billing.batch_line using (batch_id) join core.project using (project_code)
union
select 'invoice', engagement_id from asked join billing.invoice on id = invoice_key join core.project using (project_code)
union
select 'invoice line', engagement_id
from asked join billing.invoice_line on id = line_key join billing.invoice using (invoice_key) join core.project using (project_code)
union
select 'ERP invoice', engagement_id
from asked join core.erp_invoice erp on id in (erp.number, erp.erp_invoice_id) join billing.invoice on invoice_key = erp.reference
join core.project using (project_code)
union
select 'effect', engagement_id from asked join ops.effect on id = effect_key where engagement_id is not null
union
select 'exception', engagement_id from asked join ops.exception_age on number = exception_id where engagement_id is not null
union
select 'record in ' || system, engagement_id
from asked join ops.crosswalk on id = external_id
join core.project on (kind = 'project' and project_code in (entity_id, regexp_replace(entity_id, '\.[0-9]+$', '')))
                  or (kind = 'customer' and customer_id = entity_id)
union
select 'record in ' || system, engagement_id from asked join ops.effect on id = external_id where engagement_id is not null
)
select kind, engagement_id from found join seen_engagement using (engagement_id) order by engagement_id, kind
