-- Each month in which a legal entity has work, invoices or a close, with its state and newest version.
with known as (
    select legal_entity_id, period from core.period
    union select legal_entity_id, period from billing.batch
    union select legal_entity_id, period from ops.close
),
newest as (
    select distinct on (legal_entity_id, period) * from ops.close left join ops.close_signature using (close_id)
    order by legal_entity_id, period, version desc
)
select legal_entity_id, period, coalesce(state, 'open') as state, version, decision, person, signed_at, closed_at,
       (select count(*) from ops.close_control control where control.close_id = newest.close_id and breaks > 0) as broken
from known
left join core.period using (legal_entity_id, period)
left join newest using (legal_entity_id, period)
where (legal_entity_id = any(%(entities)s::text[])) is not false
order by period desc, legal_entity_id
