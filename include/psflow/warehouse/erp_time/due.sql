-- What the ERP does not know yet of the hours that it bills itself.
-- grain:  time entry in the version that passed its gate, where that is newer than the version sent last
-- unit:   minutes; 0 takes them back: not approved, not billable, gone, or moved to where the ERP does not bill
-- reads:  billing.passed_entry, ops.effect, ops.crosswalk (hours of a project that is not in the ERP wait for its activation)
with sent as (
    select distinct on (payload ->> 'time_entry_id')
           payload ->> 'time_entry_id' as time_entry_id, (payload ->> 'version')::integer as version,
           payload ->> 'project_code' as project_code, engagement_id
    from ops.effect
    where system = %(system)s and capability = 'post_time' and payload ->> 'legal_entity_id' = %(entity)s
    order by payload ->> 'time_entry_id', (payload ->> 'version')::integer desc
),
told as (
    select entry.*,
           is_to_bill and legal_entity_id = %(entity)s and worked_on >= %(since)s
               and billing.number_owner(legal_entity_id, contract_id) = 'erp' as is_theirs
    from billing.passed_entry entry
    where source = 'time' and (legal_entity_id = %(entity)s or time_entry_id in (select time_entry_id from sent))
)
select time_entry_id, told.version, told.resource_id, told.worked_on, case when is_theirs then minutes else 0 end as minutes,
       place.project_code, place.engagement_id, external_id as erp_project_id
from told
left join sent using (time_entry_id)
cross join lateral (
    select case when is_theirs then told.project_code else sent.project_code end as project_code,
           case when is_theirs then told.engagement_id else sent.engagement_id end as engagement_id
) place
join ops.crosswalk project on kind = 'project' and entity_id = place.project_code
     and (project.system, instance) = (%(system)s, %(instance)s)
where told.version > coalesce(sent.version, 0) and (is_theirs or sent.version is not null)
order by place.project_code, time_entry_id
