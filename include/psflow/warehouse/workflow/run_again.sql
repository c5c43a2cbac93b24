-- The Airflow run that stopped over an exception: of its effect's engagement or batch, or of its invoice's batch.
select 'activation' as dag_id, engagement_id || '.' || max(epoch) as run_id
from ops.effect join ops.workflow using (engagement_id)
where effect_key = %(record)s and batch_id is null
group by engagement_id
union all
(select 'billing', run_id from ops.approval
 where batch_id in (select batch_id from ops.effect where effect_key = %(record)s
                    union select batch_id from billing.invoice where invoice_key = %(record)s)
 order by decided_at desc limit 1)
