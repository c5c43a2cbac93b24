-- What a person sees: rows of their legal entities, and those of none that is known yet. Every query of the screens opens
-- with it. entities: theirs, null for all; named: what the CRM calls a legal entity -> its id.
with owned as (  -- the contract says whose an engagement is, before there is one its deal does
    select engagement_id, opportunity_id, coalesce(contract.legal_entity_id, %(named)s::jsonb ->> legal_entity_value) as legal_entity_id
    from core.engagement
    join core.opportunity using (opportunity_id)
    left join core.contract using (engagement_id)
),
seen_engagement as (
    select * from owned where legal_entity_id is null or (legal_entity_id = any(%(entities)s::text[])) is not false
),
seen_workflow as (
    select state.* from ops.workflow_state state join seen_engagement using (engagement_id)
),
seen_effect as (
    select effect.*, coalesce(batch.legal_entity_id, owned.legal_entity_id) as legal_entity_id
    from ops.effect
    left join billing.batch using (batch_id)
    left join owned using (engagement_id)
    where coalesce(batch.legal_entity_id, owned.legal_entity_id) is null
       or (coalesce(batch.legal_entity_id, owned.legal_entity_id) = any(%(entities)s::text[])) is not false
),
seen_exception as (
    select exception.*
    from ops.exception_age exception
    left join billing.invoice on exception.entity = 'invoice' and invoice_key = exception.record_id
    left join ops.effect on exception.entity = 'effect' and effect_key = exception.record_id
    left join owned on owned.engagement_id = coalesce(exception.engagement_id, effect.engagement_id)
    left join billing.batch on batch.batch_id = effect.batch_id
    left join core.opportunity deal on exception.entity = 'deal' and deal.opportunity_id = exception.record_id
    cross join lateral (select coalesce(owned.legal_entity_id, invoice.legal_entity_id, batch.legal_entity_id,
                                        %(named)s::jsonb ->> deal.legal_entity_value) as legal_entity_id) of_entity
    where of_entity.legal_entity_id is null or (of_entity.legal_entity_id = any(%(entities)s::text[])) is not false
),
seen_gate as (  -- a load or a snapshot is of every entity: its verdict is everybody's, its rows are not
    select gate.*
    from ops.gate_run gate
    left join billing.batch on suite like 'billing/%%' and batch.batch_id = gate.batch_id
    where legal_entity_id is null or (legal_entity_id = any(%(entities)s::text[])) is not false
),
seen_failing as (
    select failing.*
    from ops.gate_failing failing
    left join core.time_entry hour on failing.suite = 'time_expense/time_entry' and hour.time_entry_id = failing.record_id
        and hour.load_id::text = failing.batch_id
    left join core.expense_entry spent on failing.suite = 'time_expense/expense_entry'
        and spent.expense_entry_id = failing.record_id and spent.load_id::text = failing.batch_id
    left join core.project on project.project_code = coalesce(hour.project_code, spent.project_code)
    left join owned on owned.engagement_id = coalesce(project.engagement_id, failing.engagement_id)
    where owned.legal_entity_id is null or (owned.legal_entity_id = any(%(entities)s::text[])) is not false
)
