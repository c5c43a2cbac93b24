-- Engagements that an id belongs to, whoever gave it.
select engagement_id from core.engagement where %(id)s in (engagement_id, opportunity_id, left(opportunity_id, 15), customer_id)
union
select engagement_id from core.project where project_code = %(id)s
union
select engagement_id from core.time_entry join core.project using (project_code) where time_entry_id = %(id)s
union
select engagement_id from billing.invoice join core.project using (project_code)
where %(id)s in (invoice_key, batch_id)
union
select engagement_id from ops.effect where %(id)s in (effect_key, external_id) and engagement_id is not null
union
select engagement_id from core.erp_invoice erp
join billing.invoice on invoice_key = erp.reference
join core.project using (project_code)
where erp.number = %(id)s
order by 1
