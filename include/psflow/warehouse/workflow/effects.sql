-- Effects that fit the filters, the oldest first, with what policy makes of those that have not left; the first mode that
-- fits decides, as in psflow.yaml. A filter that is null is not asked.
with judged as (
    select effect.*, coalesce(rule.mode, 'post') as mode, run.dag_id, run.run_id, exception.exception_id,
           case when effect.state in ('done', 'dead') then effect.state
                when rule.mode = 'observe' then 'observed'
                when rule.mode = 'propose' and released_at is null then 'proposed'
                when effect.state = 'intent' then 'uncertain'
                else effect.state end as status
    from seen_effect effect
    left join lateral (
        select mode
        from rows from (jsonb_to_recordset(%(modes)s::jsonb) as (mode text, system text, legal_entity_id text, capability text))
            with ordinality as rule (mode, system, legal_entity_id, capability, place)
        where coalesce(rule.system, effect.system) = effect.system
          and coalesce(rule.capability, effect.capability) = effect.capability
          and (rule.legal_entity_id is null or rule.legal_entity_id = effect.legal_entity_id)
        order by place limit 1) rule on true
    left join ops.exceptions exception
        on (exception.rule, exception.entity, exception.record_id, exception.state) = ('effect', 'effect', effect_key, 'open')
    left join lateral (
        select 'billing' as dag_id, max(run_id) as run_id from ops.approval
        where approval.batch_id = effect.batch_id and run_id is not null
        having max(run_id) is not null
        union all
        select 'activation', workflow.engagement_id || '.' || max(epoch) from ops.workflow
        where effect.batch_id is null and workflow.engagement_id = effect.engagement_id
        group by workflow.engagement_id) run on true
)
select *, count(*) over () as found
from judged
where (case when %(status)s::text is null then status <> 'done' else status = %(status)s end)
  and (%(system)s::text is null or system = %(system)s)
  and (%(capability)s::text is null or capability = %(capability)s)
  and (%(engagement)s::text is null or engagement_id = %(engagement)s)
  and (%(key)s::text is null or effect_key = %(key)s)
order by registered_at, effect_key
limit %(limit)s
