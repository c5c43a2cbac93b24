-- What changed in the month, before the cut-off, of rates, customers, contract terms, payers, taxes, and who may do what: before and after.
-- grain: change; of a rate, after hours were billed at it, is a break
-- unit:  changes
with changes as (
    select entity || ' ' || entity_id as what, valid_from as at, content as became,
           lag(content) over (partition by entity, entity_id order by valid_from) as was
    from core.history where entity in ('rate', 'customer')
    union all
    select 'terms ' || contract_id || ' ' || term_id, agreed_on, jsonb_build_object('reason', reason) || terms,
           lag(terms) over (partition by contract_id, term_id order by version)
    from core.contract_term join core.contract using (contract_id) where legal_entity_id = %(entity)s
    union all
    select 'payers ' || contract_id || ' from ' || valid_from || ' split ' || split_id, agreed_on,
           jsonb_build_object('reason', split.reason, 'payers', billing.shares_text(split_id)),
           lag(jsonb_build_object('payers', billing.shares_text(split_id))) over (partition by contract_id order by split_id)
    from core.split join core.contract using (contract_id) where legal_entity_id = %(entity)s
    union all
    select 'taxes ' || legal_entity_id, told_at, rules, lag(rules) over (order by statement_id)
    from billing.tax_rules where legal_entity_id = %(entity)s
    union all
    select 'person ' || person, told_at, jsonb_build_object('may', may, 'legal entities', legal_entities),
           lag(jsonb_build_object('may', may, 'legal entities', legal_entities)) over (partition by person order by statement_id)
    from ops.person
)
select what || ' ' || to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') as record_id, 'changes' as unit, 1 as left_value,
       1 as right_value,
       case when exists (select from billing.counted_charge charge join billing.batch using (batch_id)
                         where 'rate ' || charge.rate_id = what and frozen_at < at)
            then 'changed after hours were billed at it' end as says,
       jsonb_strip_nulls(jsonb_build_object('before', was, 'after', became)) as detail
from changes
where at >= %(start)s and at < %(end)s::date + 1 and at <= %(as_of)s
